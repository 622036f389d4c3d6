/** Measures the agent beside podman and beside runc alone. scripts/bench sets the stage and calls this. */
import { rm, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Api, connectAgent } from "../src/cli/client.js";
import { compete } from "./contest.js";
import { openFloor } from "./floor.js";
import { describeMachine } from "./machine.js";
import { openOurs } from "./ours.js";
import { loadImage, openPeer, type Podman, preparePodman } from "./podman.js";
import { formatResult, type Report, type Result, resultOf } from "./report.js";
import { type Workload, workloads } from "./workload.js";

interface Stage {
  readonly api: Api;
  readonly run: string;
  readonly root: string;
  readonly runc: string;
  readonly image: string;
  readonly podman: Podman;
  readonly podmanImage: string;
  readonly rounds: number;
}

const { values } = parseArgs({
  options: {
    run: { type: "string", default: "/run/ramet-bench" },
    root: { type: "string", default: "/var/lib/ramet-bench" },
    prefix: { type: "string", default: "/opt/ramet" },
    archive: { type: "string", default: "" },
    rounds: { type: "string", default: "10" },
    only: { type: "string" },
    json: { type: "string" },
  },
});

const say = (text: string) => process.stderr.write(`${text}\n`);

async function main(): Promise<void> {
  const { run, root, prefix, archive, only, json } = values;
  const startedAt = new Date().toISOString();
  const socketPath = join(run, "agent.sock");
  using api = await connectAgent({ socketPath, timeoutMs: 300_000 }, AbortSignal.timeout(30_000));
  const runc = join(prefix, "bin/runc");
  // Outside of the run directory, so that it is on the tmpfs of the mount namespace that this runs in.
  const runDirectory = `${run}-podman`;
  const podman = await preparePodman({ directory: join(root, "podman"), runDirectory, runc });
  const podmanImage = await loadImage(podman, archive);
  const stage = {
    ...{ api, run, root, runc, podman, podmanImage },
    image: await importImage(api, archive),
    rounds: Number(values.rounds),
  };
  const results: Result[] = [];
  for (const workload of workloads.filter(({ key }) => only === undefined || key === only)) {
    const result = await measure(stage, workload);
    process.stdout.write(`${formatResult(result)}\n\n`);
    results.push(result);
  }
  const machine = await describeMachine(api, root);
  const report: Report = { formatVersion: 1, startedAt, rounds: stage.rounds, machine, results };
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, undefined, 2)}\n`);
  process.stdout.write(
    `${Object.entries(machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ")}\n`,
  );
  await rm(runDirectory, { recursive: true, force: true }).catch(() => {});
}

async function importImage(api: Api, archive: string): Promise<string> {
  let name = "";
  for await (const { image } of api.images.import({ path: archive, name: "bench:latest" }))
    name = image?.name ?? name;
  return name;
}

async function measure(stage: Stage, workload: Workload): Promise<Result> {
  const { api, run, root, runc, image, podman, podmanImage, rounds } = stage;
  say(`${workload.name}: preparing`);
  const parallel = 2 * availableParallelism();
  await using ours = await openOurs({ api, image, workload });
  await using peer = await openPeer({
    ...{ podman, workload, parallel, image: podmanImage, directory: join(root, "podman") },
  });
  await using floor = await openFloor({
    ...{ runc, parallel, directory: join(root, "floor") },
    donorBundle: join(run, "containerd/io.containerd.runtime.v2.task/ramet", ours.donor),
    golden: join(root, "checkpoints", ours.goldenCheckpoint),
    memorydSocket: join(run, "memoryd.sock"),
  });
  const onRound = (round: number) =>
    say(round === 0 ? "  warming up" : `  round ${round} of ${rounds}, ${workload.key}`);
  return resultOf(workload, await compete([ours, peer, floor], { rounds, onRound }));
}

await main();
