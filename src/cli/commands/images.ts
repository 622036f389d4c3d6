import { resolve } from "node:path";
import type { Command } from "commander";
import type { ImageProgress } from "../../gen/ramet/v1/image_pb.js";
import { parseFilled } from "../arguments.js";
import { forEachRef } from "../each.js";
import { formatAge, formatBytes, formatCommand } from "../format.js";
import { type Cli, group, leaf, type Session, usage } from "../session.js";
import { imageView } from "../views.js";

export function imageCommand(cli: Cli): Command {
  return group("image", "Images: import, pull, list, inspect, remove", [
    importCommand(cli),
    pullCommand(cli, "image "),
    listCommand(cli, "ls").alias("list"),
    inspectCommand(cli),
    removeCommand(cli, "rm"),
  ]);
}

/** `ramet images`, as docker has it. */
export function imagesCommand(cli: Cli): Command {
  return listCommand(cli, "images");
}

/** `ramet rmi`, as docker has it. */
export function removeImageCommand(cli: Cli): Command {
  return removeCommand(cli, "rmi");
}

function importCommand(cli: Cli): Command {
  return leaf("import", "Read an image from an OCI archive (tar) on this machine", [
    "image import debian-python.tar",
    "image import debian-python.tar --name debian-python",
  ])
    .argument("<archive>", "path of the archive, a regular file", parseFilled)
    .option("--name <name>", "name of the image (default: the one that the archive gives)")
    .action(
      cli.action(async (session, archive: string, { name = "" }: { name?: string }) => {
        if (archive === "-") throw usage("an image is not read from standard input", "name a file");
        const { images } = await session.api();
        await showImport(session, images.import({ path: resolve(archive), name }, session.streamOptions));
      }),
    );
}

/** Below `ramet image`, and, as docker has it, as `ramet pull`. */
export function pullCommand(cli: Cli, prefix: "" | "image " = ""): Command {
  return leaf("pull", "Pull an image from a registry", [
    `${prefix}pull docker.io/library/debian:12`,
    `${prefix}pull --plain-http 127.0.0.1:5000/debian-python:1`,
  ])
    .argument("<reference>", "registry/name:tag or registry/name@digest")
    .option("--plain-http", "speak HTTP to the registry; for loopback and private registries only")
    .option("--username <name>", "user at the registry; the password is read from RAMET_REGISTRY_PASSWORD")
    .action(
      cli.action(async (session, reference: string, options: { plainHttp?: boolean; username?: string }) => {
        const { plainHttp = false, username = "" } = options;
        const password = username === "" ? "" : (session.io.env["RAMET_REGISTRY_PASSWORD"] ?? "");
        if (username !== "" && password === "")
          throw usage(
            "no password for the registry",
            "put it into the environment as RAMET_REGISTRY_PASSWORD",
          );
        const { images } = await session.api();
        const request = { reference, plainHttp, username, password };
        await showImport(session, images.pull(request, session.streamOptions));
      }),
    );
}

async function showImport({ out }: Session, messages: AsyncIterable<ImageProgress>): Promise<void> {
  let image: ImageProgress["image"];
  {
    using progress = out.progress();
    for await (const message of messages) {
      const { step, doneBytes, totalBytes } = message;
      progress.show({ label: step, done: Number(doneBytes), total: Number(totalBytes) });
      image = message.image ?? image;
    }
  }
  await out.document(
    "image",
    imageView(image),
    ({ name, sizeBytes }) => `${name}  ${formatBytes(sizeBytes)}`,
  );
}

function listCommand(cli: Cli, name: string): Command {
  return leaf(name, "List images", [name === "images" ? "images" : `image ${name}`])
    .option("-q, --quiet", "print names only")
    .action(
      cli.action(async ({ api, out, signal }, { quiet = false }: { quiet?: boolean }) => {
        const { images } = await (await api()).images.list({}, { signal });
        await out.document("image", images.map(imageView), (views) => {
          if (quiet) return views.map((view) => view.name).join("\n");
          const rows = views.map((view) => [
            view.name,
            view.digest.slice(0, 19),
            formatBytes(view.sizeBytes),
            formatAge(new Date(view.createdAt), new Date()),
            formatCommand([...view.entrypoint, ...view.cmd]) || "-",
          ]);
          return out.table(["NAME", "DIGEST", "SIZE", "CREATED", "COMMAND"], rows);
        });
      }),
    );
}

function inspectCommand(cli: Cli): Command {
  return leaf("inspect", "Print all that is known about an image, as JSON", ["image inspect debian-python"])
    .argument("<image>", "name of the image")
    .action(
      cli.action(async ({ api, out, signal }, name: string) => {
        const { image } = await (await api()).images.get({ name }, { signal });
        await out.inspection("image", imageView(image));
      }),
    );
}

function removeCommand(cli: Cli, name: "rm" | "rmi"): Command {
  return leaf(name, "Remove images", [name === "rmi" ? "rmi debian-python" : "image rm debian-python"])
    .argument("<image...>", "names of the images")
    .action(
      cli.action(async (session, names: string[]) => {
        const { images } = await session.api();
        return await forEachRef(session, names, async (name) => {
          await images.delete({ name }, { signal: session.signal });
          return { text: name };
        });
      }),
    );
}
