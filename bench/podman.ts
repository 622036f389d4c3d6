/** The peer: the machine's own podman, with its default options, on a private store. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mapLimited } from "../src/lib/limit.js";
import { type Contestant, type Recorder, rest } from "./contest.js";
import { taken as memoryTaken, settledMeminfo } from "./memory.js";
import { peerEnv, run, runUntil } from "./run.js";
import { programArgv, readyFile, type Workload } from "./workload.js";

export type Podman = (...args: string[]) => Promise<string>;

export interface PodmanOptions {
  /** A directory of its own, for images, containers and exports. */
  readonly directory: string;
  /** On a tmpfs, as podman expects it. */
  readonly runDirectory: string;
  readonly runc: string;
}

/** Configures podman through files of its own: neither the machine's store nor its settings are touched. */
export async function preparePodman({ directory, runDirectory, runc }: PodmanOptions): Promise<Podman> {
  await mkdir(directory, { recursive: true });
  const files = { engine: join(directory, "containers.conf"), storage: join(directory, "storage.conf") };
  const engine = [
    "[containers]",
    'log_driver = "k8s-file"',
    "[engine]",
    'cgroup_manager = "cgroupfs"',
    'events_logger = "file"',
    'lock_type = "file"',
    `runtime = "runc"`,
    `static_dir = "${join(directory, "libpod")}"`,
    `tmp_dir = "${join(runDirectory, "libpod")}"`,
    `volume_path = "${join(directory, "volumes")}"`,
    "[engine.runtimes]",
    `runc = ["${runc}"]`,
  ];
  const storage = [
    "[storage]",
    'driver = "overlay"',
    `graphroot = "${join(directory, "store")}"`,
    `runroot = "${join(runDirectory, "store")}"`,
  ];
  await writeFile(files.engine, `${engine.join("\n")}\n`);
  await writeFile(files.storage, `${storage.join("\n")}\n`);
  const env = { ...peerEnv, CONTAINERS_CONF: files.engine, CONTAINERS_STORAGE_CONF: files.storage };
  return (...args) => run("podman", args, { env });
}

export async function loadImage(podman: Podman, archive: string): Promise<string> {
  const loaded = /Loaded image: (\S+)/.exec(await podman("load", "--input", archive))?.[1];
  if (loaded === undefined) throw new Error("podman does not say which image it has loaded");
  return loaded;
}

export interface PeerOptions {
  readonly podman: Podman;
  readonly directory: string;
  readonly image: string;
  readonly workload: Workload;
  /** Restores at once in a fork of 16: as many as the agent runs. */
  readonly parallel: number;
  /** Names the containers, where there are several peers. */
  readonly prefix?: string;
}

// Without CAP_SYS_RESOURCE nobody raises a limit (podman's defaults are high) or reads another user's.
const limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

function verbsOf({ podman, image, workload, prefix = "" }: PeerOptions) {
  const source = `${prefix}source`;
  return {
    start: (name: string) =>
      podman(
        ...["run", "--detach", "--user", "root", "--network", "none", ...limits, "--name", name],
        ...[image, ...programArgv(workload)],
      ),
    isReady: () => podman("exec", source, "test", "-e", readyFile),
    dump: (file: string, ...more: string[]) =>
      podman("container", "checkpoint", "--leave-running", ...more, "--export", file, source),
    restore: (file: string, name: string) => podman("container", "restore", "--import", file, "--name", name),
    pause: () => podman("container", "checkpoint", source),
    resume: () => podman("container", "restore", source),
    remove: (...names: string[]) => podman("rm", "--force", "--time", "0", ...names),
  };
}

export interface Peer extends Contestant, AsyncDisposable {
  /** Milliseconds of a checkpoint and so many restores; what they made is removed. */
  forkMany(count: number): Promise<number>;
  /** Bytes that the first restore of a checkpoint has taken of the machine, and each of `count` more. */
  memoryOfClones(count: number): Promise<{ readonly first: number; readonly more: number }>;
}

const clonesOf = ({ prefix = "" }: PeerOptions, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}clone${index}`);

/** `taken`: the file for checkpoints. */
function manyOf(options: PeerOptions, taken: string): Pick<Peer, "forkMany" | "memoryOfClones"> {
  const { dump, restore, remove } = verbsOf(options);

  async function forkMany(count: number): Promise<number> {
    const names = clonesOf(options, count);
    await rm(taken, { force: true });
    try {
      const started = performance.now();
      await dump(taken);
      await mapLimited(names, options.parallel, (name) => restore(taken, name));
      return performance.now() - started;
    } finally {
      await remove("--ignore", ...names);
    }
  }

  async function memoryOfClones(count: number): Promise<{ first: number; more: number }> {
    const [one = "", ...others] = clonesOf(options, 1 + count);
    await rm(taken, { force: true });
    await dump(taken);
    try {
      const before = await settledMeminfo();
      await restore(taken, one);
      const between = await settledMeminfo();
      for (const name of others) await restore(taken, name);
      const after = await settledMeminfo();
      return { first: memoryTaken(before, between), more: memoryTaken(between, after) / count };
    } finally {
      await remove("--ignore", one, ...others);
    }
  }

  return { forkMany, memoryOfClones };
}

export async function openPeer(options: PeerOptions): Promise<Peer> {
  const { start, isReady, dump, restore, pause, resume, remove } = verbsOf(options);
  const { prefix = "" } = options;
  const golden = join(options.directory, `${prefix}golden.tar`);
  const taken = join(options.directory, `${prefix}taken.tar`);
  await start(`${prefix}source`);
  await runUntil(isReady);
  await dump(golden);

  async function checkpoint({ time }: Recorder): Promise<void> {
    await rm(taken, { force: true });
    await time("checkpoint", () => dump(taken));
    await rm(taken, { force: true });
    await time("checkpointPlain", () => dump(taken, "--compress", "none"));
  }

  async function fork({ time }: Recorder, count: 1 | 16): Promise<void> {
    const names = clonesOf(options, count);
    await rm(taken, { force: true });
    await time(count === 1 ? "fork" : "fork16", async () => {
      await dump(taken);
      const restoreAll = () => mapLimited(names, options.parallel, (name) => restore(taken, name));
      await (count === 1 ? time("clone", restoreAll) : restoreAll());
    });
    await remove(...names);
  }

  return {
    ...manyOf(options, taken),
    name: "podman",
    steps: {
      async cold({ time }) {
        await time("cold", () => start(`${prefix}cold`));
        await remove(`${prefix}cold`);
      },
      async template({ time }) {
        await time("template", () => restore(golden, `${prefix}restored`));
        await remove(`${prefix}restored`);
      },
      checkpoint,
      fork: (recorder) => fork(recorder, 1),
      fork16: (recorder) => fork(recorder, 16),
      async pauseResume({ time }) {
        await time("pause", pause);
        await rest();
        await time("resume", resume);
      },
    },
    async [Symbol.asyncDispose]() {
      await remove(`${prefix}source`);
      for (const file of [golden, taken]) await rm(file, { force: true });
    },
  };
}
