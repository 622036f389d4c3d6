/** The small benchmark: ours, podman and the bare floor take the same steps, for a small and a large process. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { compete } from "./contest.js";
import { openFloor } from "./floor.js";
import { describeMachine } from "./machine.js";
import { openOurs } from "./ours.js";
import { openPeer } from "./podman.js";
import { formatResult, type Report, type Result, resultOf } from "./report.js";
import type { PodmanStage, Stage } from "./stage.js";
import { type Workload, workloads } from "./workload.js";

export interface BasicOptions {
  readonly rounds: number;
  readonly only: string | undefined;
  readonly json: string | undefined;
}

export async function measureBasic(
  stage: Stage & PodmanStage,
  { rounds, only, json }: BasicOptions,
): Promise<void> {
  const startedAt = new Date().toISOString();
  const results: Result[] = [];
  for (const workload of workloads.filter(({ key }) => only === undefined || key === only)) {
    const result = await measure(stage, workload, rounds);
    process.stdout.write(`${formatResult(result)}\n\n`);
    results.push(result);
  }
  const machine = await describeMachine(stage.api, stage.root);
  const report: Report = { formatVersion: 1, startedAt, rounds, machine, results };
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, undefined, 2)}\n`);
  process.stdout.write(
    `${Object.entries(machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ")}\n`,
  );
}

async function measure(stage: Stage & PodmanStage, workload: Workload, rounds: number): Promise<Result> {
  const { api, root, runc, image, podman, podmanImage, parallel, prefix, say } = stage;
  say(`${workload.name}: preparing`);
  await using ours = await openOurs({ api, image, workload });
  await using peer = await openPeer({
    ...{ podman, workload, parallel, image: podmanImage, directory: join(root, "podman") },
  });
  await using floor = await openFloor({
    ...{ runc, parallel, prefix, directory: join(root, "floor") },
    donorBundle: stage.bundleOf(ours.donor),
    golden: join(root, "checkpoints", ours.goldenCheckpoint),
    memorydSocket: stage.memorydSocket,
  });
  const onRound = (round: number) =>
    say(round === 0 ? "  warming up" : `  round ${round} of ${rounds}, ${workload.key}`);
  return resultOf(workload, await compete([ours, peer, floor], { rounds, onRound }));
}
