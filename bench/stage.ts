/** What scripts/bench has started, and the image in the stores of those who take part. */
import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { type Api, connectAgent } from "../src/cli/client.js";
import { loadImage, type Podman, preparePodman } from "./podman.js";

export interface StageOptions {
  readonly run: string;
  readonly root: string;
  readonly prefix: string;
  readonly archive: string;
}

export interface Stage extends Disposable {
  readonly api: Api;
  readonly run: string;
  readonly root: string;
  readonly runc: string;
  readonly image: string;
  readonly memorydSocket: string;
  /** Begins the names of control groups: other benchmarks may run on the machine. */
  readonly prefix: string;
  /** Restores at once: as many as the agent runs. */
  readonly parallel: number;
  /** containerd's bundle of a running sandbox. */
  readonly bundleOf: (sandbox: string) => string;
  readonly say: (text: string) => void;
}

export async function openStage({ run, root, prefix, archive }: StageOptions): Promise<Stage> {
  const socketPath = join(run, "agent.sock");
  const api = await connectAgent({ socketPath, timeoutMs: 600_000 }, AbortSignal.timeout(30_000));
  return {
    ...{ api, run, root },
    runc: join(prefix, "bin/runc"),
    image: await importImage(api, archive),
    prefix: `${basename(run)}.`,
    memorydSocket: join(run, "memoryd.sock"),
    parallel: 2 * availableParallelism(),
    bundleOf: (sandbox) => join(run, "containerd/io.containerd.runtime.v2.task/ramet", sandbox),
    say: (text) => void process.stderr.write(`${text}\n`),
    [Symbol.dispose]: () => api[Symbol.dispose](),
  };
}

export interface PodmanStage extends AsyncDisposable {
  readonly podman: Podman;
  readonly podmanImage: string;
}

export async function openPodman({ run, root, runc }: Stage, archive: string): Promise<PodmanStage> {
  // Outside of the run directory, so that it is on the tmpfs of the mount namespace that this runs in.
  const runDirectory = `${run}-podman`;
  const podman = await preparePodman({ directory: join(root, "podman"), runDirectory, runc });
  return {
    podman,
    podmanImage: await loadImage(podman, archive),
    async [Symbol.asyncDispose]() {
      await rm(runDirectory, { recursive: true, force: true }).catch(() => {});
    },
  };
}

async function importImage(api: Api, archive: string): Promise<string> {
  let name = "";
  for await (const { image } of api.images.import({ path: archive, name: "bench:latest" }))
    name = image?.name ?? name;
  return name;
}
