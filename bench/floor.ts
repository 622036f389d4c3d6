/**
 * The bare floor: runc and CRIU alone, on a bundle that lies ready, with the very images, runtime spec, root
 * filesystem and CRIU options of our sandboxes. The source of a checkpoint is frozen before the
 * clock starts, and once it is not: CRIU then waits for it in steps of 100 ms.
 */
import { existsSync } from "node:fs";
import { chmod, chown, link, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mapLimited } from "../src/lib/limit.js";
import { waitUntil } from "../src/lib/signal.js";
import type { OciSpec } from "../src/sandbox/oci-spec.js";
import { type Contestant, type Recorder, rest } from "./contest.js";
import { takeListeners } from "./listeners.js";
import { run } from "./run.js";

export interface FloorOptions {
  readonly directory: string;
  readonly runc: string;
  /** containerd's bundle of a running sandbox: the spec, and its mounted root filesystem. */
  readonly donorBundle: string;
  /** Directory of the template's golden checkpoint: CRIU's images, and memory files where it shares its memory. */
  readonly golden: string;
  /** The agent's: a process that came from shared memory can be dumped once its listener was taken out. */
  readonly memorydSocket: string;
  /** Restores at once in a fork of 16: as many as the agent runs. */
  readonly parallel: number;
  /** Names the control groups, where there are several floors. */
  readonly prefix?: string;
  /** Where dumps go, on what file system one likes; below `directory` otherwise. */
  readonly images?: string;
  /**
   * What a shell in the source does once it is restored, where ours was asked the same: a dump looks through every page
   * that a process has touched since.
   */
  readonly asked?: string;
}

interface Bundle {
  readonly id: string;
  readonly directory: string;
  readonly guestDir: string;
  readonly workDir: string;
}

function verbsOf(options: FloorOptions, source: Bundle, images: string) {
  const runc = (...args: string[]) => run(options.runc, ["--root", join(options.directory, "runc"), ...args]);
  return {
    start: (bundle: Bundle) => runc("run", "--detach", "--bundle", bundle.directory, bundle.id),
    restore: (bundle: Bundle, from: string) =>
      runc(
        ...["restore", "--detach", "--bundle", bundle.directory, "--image-path", from],
        ...["--work-path", bundle.workDir, bundle.id],
      ),
    async freeze() {
      await clear(images);
      await runc("pause", source.id);
    },
    dump: (...more: string[]) =>
      runc("checkpoint", ...more, "--image-path", images, "--work-path", source.workDir, source.id),
    thaw: () => runc("resume", source.id),
    ask: (id: string, script: string) => runc("exec", id, "/bin/sh", "-c", script),
    async remove(bundle: Bundle) {
      const pids = JSON.parse(await runc("ps", "--format", "json", bundle.id)) as number[];
      await runc("delete", "--force", bundle.id);
      // runc does not wait for them, and refuses a restore into a control group that has processes.
      await waitUntil(`the end of ${bundle.id}`, () => !pids.some(isAlive), {
        intervalMs: 5,
        timeoutMs: 10_000,
      });
      await removeSocket(bundle);
    },
  };
}

async function clear(images: string): Promise<void> {
  await rm(images, { recursive: true, force: true });
  // At a restore CRIU opens some images as the sandbox's root.
  await mkdir(images, { mode: 0o755 });
}

const isAlive = (pid: number) => existsSync(`/proc/${pid}`);

/** CRIU binds the guest's listening socket anew, and wants its path free. */
const removeSocket = ({ guestDir }: Bundle) => rm(join(guestDir, "guest.sock"), { force: true });

export async function openFloor(options: FloorOptions): Promise<Contestant & AsyncDisposable> {
  const { directory, golden, prefix = "" } = options;
  const goldenImages = join(golden, "images");
  const spec = JSON.parse(await readFile(join(options.donorBundle, "config.json"), "utf8")) as OciSpec;
  const makeBundle = (id: string) => prepareBundle(options, spec, id);
  const source = await makeBundle(`${prefix}source`);
  const names = Array.from({ length: 16 }, (_, index) => `${prefix}clone${index}`);
  const clones = await mapLimited(names, 4, makeBundle);
  const other = await makeBundle(`${prefix}other`);
  const { images = join(directory, "images") } = options;
  const { start, restore, freeze, dump, thaw, ask, remove } = verbsOf(options, source, images);

  async function fork({ time }: Recorder, count: 1 | 16): Promise<void> {
    const bundles = clones.slice(0, count);
    await freeze();
    await time(count === 1 ? "fork" : "fork16", async () => {
      await dump("--leave-running");
      const restoreAll = () => mapLimited(bundles, options.parallel, (bundle) => restore(bundle, images));
      await (count === 1 ? time("clone", restoreAll) : restoreAll());
    });
    await thaw();
    for (const bundle of bundles) await remove(bundle);
  }

  await restore(source, goldenImages);
  await takeListeners(options.memorydSocket, cgroupOf(source.id));
  if (options.asked !== undefined) await ask(source.id, options.asked);
  return {
    name: "floor",
    steps: {
      async cold({ time }) {
        await time("cold", () => start(other));
        await remove(other);
      },
      async template({ time, note }) {
        await time("template", () => restore(other, goldenImages));
        note("criuAlone", await criuMs(other));
        await remove(other);
      },
      async checkpoint({ time }) {
        await freeze();
        await time("checkpoint", () => dump("--leave-running"));
        await thaw();
        await clear(images);
        await time("checkpointRunning", () => dump("--leave-running"));
      },
      fork: (recorder) => fork(recorder, 1),
      fork16: (recorder) => fork(recorder, 16),
      async pauseResume({ time }) {
        await freeze();
        await time("pause", () => dump());
        await rest();
        await removeSocket(source);
        await time("resume", () => restore(source, images));
        await takeListeners(options.memorydSocket, cgroupOf(source.id));
      },
    },
    async [Symbol.asyncDispose]() {
      await remove(source);
      for (const bundle of [source, other, ...clones]) await run("umount", [rootOf(bundle)]);
      for (const path of [directory, images]) await rm(path, { recursive: true, force: true });
    },
  };
}

/** What CRIU itself took for a restore: its log begins with its start, and each line with the seconds since. */
async function criuMs({ workDir }: Bundle): Promise<number> {
  const log = await readFile(join(workDir, "restore.log"), "utf8");
  const last = [...log.matchAll(/^\((\d+\.\d+)\)/gm)].at(-1)?.[1];
  if (last === undefined) throw new Error(`${workDir}/restore.log has no times`);
  return 1000 * Number(last);
}

/** Each has a mount of its own: while it restores, runc mounts more into it, which others must not see. */
const rootOf = ({ directory }: Bundle) => join(directory, "rootfs");

const cgroupOf = (id: string) => `/ramet/bench-${id}`;

async function linkMemory(golden: string, guestDir: string): Promise<void> {
  const from = join(golden, "memory");
  if (!existsSync(from)) return;
  await mkdir(join(guestDir, "memory"), { mode: 0o755 });
  for (const name of await readdir(from)) await link(join(from, name), join(guestDir, "memory", name));
}

async function prepareBundle(
  { directory, donorBundle, golden }: FloorOptions,
  spec: OciSpec,
  id: string,
): Promise<Bundle> {
  const place = join(directory, id);
  const bundle: Bundle = {
    id,
    directory: join(place, "bundle"),
    guestDir: join(place, "guest"),
    workDir: join(place, "work"),
  };
  for (const path of [bundle.directory, bundle.guestDir, bundle.workDir]) {
    await mkdir(path, { recursive: true });
    await chmod(path, 0o755);
  }
  const [owner] = spec.linux.uidMappings;
  await chown(bundle.guestDir, owner?.hostID ?? 0, owner?.hostID ?? 0);
  await linkMemory(golden, bundle.guestDir);
  const guest = spec.mounts.find(({ destination }) => destination === "/.ramet");
  if (guest === undefined) throw new Error("the donor's spec has no guest directory");
  for (const name of ["guest", "boot_id"]) await link(join(guest.source, name), join(bundle.guestDir, name));
  await mkdir(rootOf(bundle));
  await run("mount", ["--bind", join(donorBundle, "rootfs"), rootOf(bundle)]);
  const own = {
    ...spec,
    root: { ...spec.root, path: rootOf(bundle) },
    mounts: spec.mounts.map((mount) => (mount === guest ? { ...mount, source: bundle.guestDir } : mount)),
    linux: { ...spec.linux, cgroupsPath: cgroupOf(id) },
  };
  await writeFile(join(bundle.directory, "config.json"), JSON.stringify(own));
  return bundle;
}
