/** gVisor's runsc: a kernel in user space that saves its own state, with the same program on the same files. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { OciSpec } from "../../src/sandbox/oci-spec.js";
import { run, runUntil } from "../run.js";
import { programArgv, readyFile, type Workload } from "../workload.js";
import type { Trial } from "./trials.js";

export interface RunscOptions {
  readonly runsc: string;
  readonly directory: string;
  /** containerd's bundle of a running sandbox: its environment, and its mounted root filesystem. */
  readonly donorBundle: string;
  readonly workload: Workload;
  readonly sizeMib: number;
}

export interface Runsc extends AsyncDisposable {
  readonly trials: readonly Trial[];
}

export async function openRunsc({ runsc, directory, sizeMib, ...given }: RunscOptions): Promise<Runsc> {
  const images = join(directory, "images");
  const options = [
    ...["--root", join(directory, "state"), "--network", "none", "--platform", "systrap"],
    ...["--overlay2", "none", "--ignore-cgroups"],
  ];
  const verb = (...args: string[]) => run(runsc, [...options, ...args]);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const [source, clone] = ["source", "clone"].map((name) => `bench-${sizeMib}-${name}`) as [string, string];
  for (const id of [source, clone]) await writeBundle(join(directory, id), given);
  const remove = (id: string) => verb("delete", "--force", id);
  await verb("run", "--detach", "--bundle", join(directory, source), source);
  await runUntil(() => verb("exec", source, "test", "-e", readyFile));
  return {
    trials: [
      {
        ...{ name: "runsc", sizeMib, group: "fork" },
        async work(note) {
          await rm(images, { recursive: true, force: true });
          const started = performance.now();
          await verb("checkpoint", "--leave-running", "--image-path", images, source);
          const dumped = performance.now();
          await verb(
            "restore",
            "--detach",
            "--bundle",
            join(directory, clone),
            "--image-path",
            images,
            clone,
          );
          note("clone", performance.now() - dumped);
          note("fork", performance.now() - started);
          try {
            await verb("exec", clone, "test", "-e", readyFile);
          } finally {
            await remove(clone);
          }
        },
      },
    ],
    async [Symbol.asyncDispose]() {
      await remove(source);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function writeBundle(
  bundle: string,
  { donorBundle, workload }: Pick<RunscOptions, "donorBundle" | "workload">,
): Promise<void> {
  const { process } = JSON.parse(await readFile(join(donorBundle, "config.json"), "utf8")) as OciSpec;
  const spec = {
    ociVersion: "1.0.0",
    process: { user: { uid: 0, gid: 0 }, args: programArgv(workload), env: process.env, cwd: "/" },
    root: { path: join(donorBundle, "rootfs"), readonly: true },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs" },
    ],
    linux: { namespaces: ["pid", "mount", "ipc", "network"].map((type) => ({ type })) },
  };
  await mkdir(bundle);
  await writeFile(join(bundle, "config.json"), JSON.stringify(spec));
}
