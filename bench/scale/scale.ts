/** How the times and the memory of forks, checkpoints and claims grow with the memory of their source. */
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { openScope, type Scope } from "../../src/lib/scope.js";
import { openFloor } from "../floor.js";
import { digestScript, holderOf } from "../holder.js";
import { describeMachine } from "../machine.js";
import { readMeminfo } from "../memory.js";
import { writeResults } from "../output.js";
import { openPeer } from "../podman.js";
import type { PodmanStage, Stage } from "../stage.js";
import { claimTrial } from "./claims.js";
import { floorTrials, podmanTrials } from "./others.js";
import { openOurs } from "./ours.js";
import { chartsOf, formatReport, reportOf } from "./report.js";
import { openRunsc } from "./runsc.js";
import { chooseSizes, isContested, type Room } from "./sizes.js";
import { compete, type Trial } from "./trials.js";

export interface ScaleOptions {
  readonly rounds: number;
  readonly maxSizeMib: number;
  /** Of a fork of many. */
  readonly clones: number;
  /** Warm slots that are claimed at once. */
  readonly claims: number;
  readonly out: string | undefined;
  /** gVisor's program, where there is one. */
  readonly runsc: string | undefined;
}

type Both = Stage & PodmanStage;

/** gVisor's checkpoints are of everything. */
const runscMaxMib = 256;

export async function measureScale(stage: Both, options: ScaleOptions): Promise<void> {
  const { rounds, maxSizeMib, clones, claims, out } = options;
  const startedAt = new Date().toISOString();
  const choice = chooseSizes(maxSizeMib, await roomOf(stage.root));
  const { sizes } = choice;
  const leftOut = [...choice.leftOut, ...(options.runsc === undefined ? ["gVisor: there is no runsc"] : [])];
  const [smallest] = sizes;
  if (smallest === undefined) throw new Error(`no size can be measured: ${leftOut.join("; ")}`);
  await using scope = openScope();
  const trials: Trial[] = [];
  for (const sizeMib of sizes) {
    stage.say(`sources of ${sizeMib} MiB: preparing`);
    trials.push(
      ...(await openSize(stage, options, { sizeMib, isSmallest: sizeMib === smallest, scope, leftOut })),
    );
  }
  trials.push(
    claimTrial({ api: stage.api, template: `bench-${smallest}`, sizeMib: smallest, count: claims }),
  );
  const outcome = await compete(trials, { rounds, say: stage.say });
  const report = reportOf(outcome, sizes, clones);
  const { failures } = outcome;
  const notes = [
    ...leftOut.map((what) => `left out: ${what}`),
    ...failures.map(({ trial, message }) => `failed: ${trial}: ${message}`),
  ];
  const machine = await describeMachine(stage.api, stage.root);
  await writeResults(out, {
    name: "scale",
    report: {
      formatVersion: 1,
      startedAt,
      rounds,
      clones,
      claims,
      machine,
      leftOut,
      failures,
      ...report,
    },
    table: formatReport(report, notes),
    charts: chartsOf(report, sizes),
  });
  if (failures.length > 0) process.exitCode = 1;
}

interface Size {
  readonly sizeMib: number;
  readonly isSmallest: boolean;
  readonly scope: Scope;
  /** Takes what has no part in it. */
  readonly leftOut: string[];
}

async function openSize(stage: Both, { clones, runsc }: ScaleOptions, size: Size): Promise<Trial[]> {
  const { sizeMib, isSmallest, scope, leftOut } = size;
  const { root, runc, podman, podmanImage, parallel } = stage;
  const isLarge = sizeMib === 1024;
  const prefix = `${stage.prefix}${sizeMib}-`;
  const ours = scope.use(
    await openOurs(stage, {
      ...{ sizeMib, clones, withCold: isLarge, withMany: isLarge || isSmallest },
      withChanges: isContested(sizeMib),
    }),
  );
  const floor = scope.use(
    await openFloor({
      ...{ runc, parallel, prefix, directory: join(root, "floor", String(sizeMib)) },
      donorBundle: stage.bundleOf(ours.donor),
      golden: join(root, "checkpoints", ours.goldenCheckpoint),
      memorydSocket: stage.memorydSocket,
      // A tmpfs, on the machine or in the mount namespace that this runs in.
      images: `${stage.run}-dump-${sizeMib}`,
      asked: digestScript,
    }),
  );
  const trials = [...ours.trials, ...floorTrials(floor, size)];
  if (runsc !== undefined && sizeMib <= runscMaxMib) {
    // Without the holder's program: Debian's runsc of 2024 crashes at its sigwait.
    const { key, name, memoryBytes } = holderOf(sizeMib);
    try {
      const other = await openRunsc({
        ...{ runsc, sizeMib, workload: { key, name, memoryBytes }, donorBundle: stage.bundleOf(ours.donor) },
        directory: join(root, "runsc", String(sizeMib)),
      });
      trials.push(...scope.use(other).trials);
    } catch (error) {
      leftOut.push(`gVisor, ${sizeMib} MiB: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (!isContested(sizeMib)) return trials;
  const peer = scope.use(
    await openPeer({
      ...{ podman, parallel, prefix, workload: holderOf(sizeMib), image: podmanImage },
      directory: join(root, "podman"),
    }),
  );
  return [...trials, ...podmanTrials(peer, { ...size, clones })];
}

async function roomOf(root: string): Promise<Room> {
  const { bavail, bsize } = await statfs(root);
  const mib = 1024 * 1024;
  return {
    memoryMib: ((await readMeminfo())["MemAvailable"] ?? 0) / mib,
    diskMib: (bavail * bsize) / mib,
  };
}
