import type { Command } from "commander";
import { parseFileMode } from "../arguments.js";
import { formatBytes, formatMode, printable } from "../format.js";
import { type Cli, group, leaf } from "../session.js";
import type { Shape } from "../shapes.js";
import { fileView } from "../views.js";

interface UserOption {
  readonly user?: string;
}

export function fileCommand(cli: Cli): Command {
  return group("file", "Files inside a sandbox: list, stat, print, remove, make directories, rename, watch", [
    listCommand(cli),
    statCommand(cli),
    catCommand(cli),
    makeDirectoryCommand(cli),
    moveCommand(cli),
    removeCommand(cli),
    watchCommand(cli),
  ]);
}

function onPath(name: string, summary: string, example: string): Command {
  return leaf(name, summary, [`file ${name} ${example}`])
    .argument("<sandbox>", "id, prefix or name")
    .argument("<path>", "absolute, or relative to the user's home directory")
    .option("-u, --user <user>", "as this user inside (default: the sandbox's)");
}

function listCommand(cli: Cli): Command {
  return onPath("ls", "List a directory", "a1b2 /work")
    .option("-l, --long", "with mode, owner, size and time")
    .option("-R, --recursive", "with all directories below it (64 levels at most)")
    .action(
      cli.action(
        async (
          session,
          sandbox: string,
          path: string,
          options: UserOption & { long?: boolean; recursive?: boolean },
        ) => {
          const { user = "", long = false, recursive = false } = options;
          const { files } = await session.api();
          const views: Shape<"file">[] = [];
          const request = { sandbox, path, user, depth: recursive ? 64 : 1 };
          for await (const batch of files.list(request, session.streamOptions))
            views.push(...batch.files.map(fileView));
          const nameOf = (view: Shape<"file">) => (recursive ? view.path : view.name);
          views.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
          const short = () => views.map((view) => printable(nameOf(view))).join("\n");
          await session.out.document("file", views, () => (long ? longList(views, nameOf) : short()));
        },
      ),
    );
}

function longList(views: readonly Shape<"file">[], nameOf: (view: Shape<"file">) => string): string {
  const sizeWidth = Math.max(0, ...views.map(({ sizeBytes }) => String(sizeBytes).length));
  const ownerWidth = Math.max(0, ...views.map((view) => ownerOf(view).length));
  return views
    .map((view) => {
      const { type, mode, sizeBytes, modifiedAt, symlinkTarget } = view;
      const link = symlinkTarget === undefined ? "" : ` -> ${symlinkTarget}`;
      const owner = ownerOf(view).padEnd(ownerWidth);
      const time = modifiedAt.slice(0, 16).replace("T", " ");
      const size = String(sizeBytes).padStart(sizeWidth);
      return printable(
        `${formatMode(type, Number.parseInt(mode, 8))}  ${owner}  ${size}  ${time}  ${nameOf(view)}${link}`,
      );
    })
    .join("\n");
}

function ownerOf({ owner, uid, group: name, gid }: Shape<"file">): string {
  return `${owner || uid}:${name || gid}`;
}

function statCommand(cli: Cli): Command {
  return onPath("stat", "Show what is known about a file", "a1b2 /etc/os-release")
    .option("-L, --follow-link", "of what a symbolic link points to")
    .action(
      cli.action(
        async (
          { api, out, signal },
          sandbox: string,
          path: string,
          options: UserOption & { followLink?: boolean },
        ) => {
          const { user = "", followLink: follow = false } = options;
          const { file } = await (await api()).files.stat({ sandbox, path, user, follow }, { signal });
          await out.document("file", fileView(file), (view) =>
            [
              `path      ${printable(view.path)}${view.symlinkTarget === undefined ? "" : ` -> ${printable(view.symlinkTarget)}`}`,
              `type      ${view.type}`,
              `size      ${formatBytes(view.sizeBytes)} (${view.sizeBytes} bytes)`,
              `mode      ${view.mode} (${formatMode(view.type, Number.parseInt(view.mode, 8))})`,
              `owner     ${ownerOf(view)} (${view.uid}:${view.gid})`,
              `modified  ${view.modifiedAt}`,
            ].join("\n"),
          );
        },
      ),
    );
}

function catCommand(cli: Cli): Command {
  return onPath("cat", "Print a file as it is", "a1b2 /etc/os-release").action(
    cli.action(async (session, sandbox: string, path: string, { user = "" }: UserOption) => {
      const { files } = await session.api();
      for await (const { data } of files.read({ sandbox, path, user }, session.streamOptions))
        await session.out.raw("stdout", data);
    }),
  );
}

function makeDirectoryCommand(cli: Cli): Command {
  return onPath("mkdir", "Make a directory", "-p a1b2 /data/run/1")
    .option("-p, --parents", "also those above it; an existing one is no error")
    .option("-m, --mode <octal>", "permission bits, less the umask 022 (default: 755)", parseFileMode)
    .action(
      cli.action(
        async (
          { api, out, signal },
          sandbox: string,
          path: string,
          options: UserOption & { parents?: boolean; mode?: number },
        ) => {
          const { user = "", parents = false, mode = 0 } = options;
          await (await api()).files.makeDir({ sandbox, path, user, parents, mode }, { signal });
          await out.document("fileDone", { path }, () => "");
        },
      ),
    );
}

function moveCommand(cli: Cli): Command {
  return leaf("mv", "Rename a file or directory within a sandbox", ["file mv a1b2 /data/a /data/b"])
    .argument("<sandbox>", "id, prefix or name")
    .argument("<from>", "path")
    .argument("<to>", "new path; a file there is replaced")
    .option("-u, --user <user>", "as this user inside (default: the sandbox's)")
    .action(
      cli.action(
        async (
          { api, out, signal },
          sandbox: string,
          from: string,
          to: string,
          { user = "" }: UserOption,
        ) => {
          await (await api()).files.rename({ sandbox, from, to, user }, { signal });
          await out.document("fileDone", { path: to }, () => "");
        },
      ),
    );
}

function removeCommand(cli: Cli): Command {
  return onPath("rm", "Remove a file or directory", "-r a1b2 /data/run")
    .option("-r, --recursive", "a directory with all that is in it")
    .action(
      cli.action(
        async (
          { api, out, signal },
          sandbox: string,
          path: string,
          options: UserOption & { recursive?: boolean },
        ) => {
          const { user = "", recursive = false } = options;
          await (await api()).files.remove({ sandbox, path, user, recursive }, { signal });
          await out.document("fileDone", { path }, () => "");
        },
      ),
    );
}

function watchCommand(cli: Cli): Command {
  return onPath("watch", "Print changes below a directory until interrupted", "-r a1b2 /work")
    .option("-r, --recursive", "also in the directories below it")
    .action(
      cli.action(
        async (session, sandbox: string, path: string, options: UserOption & { recursive?: boolean }) => {
          const { user = "", recursive = false } = options;
          const { files } = await session.api();
          for await (const change of files.watch({ sandbox, path, user, recursive }, session.streamOptions)) {
            const { type, path: changed } = change;
            await session.out.line(
              "fileChange",
              { type, path: changed },
              () => `${type}  ${printable(changed)}`,
            );
          }
        },
      ),
    );
}
