/** What so many idle sandboxes take of the machine. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { mapLimited } from "../../src/lib/limit.js";
import { parseCgroupMounts } from "../../src/node/cgroup.js";
import { readHeldBytes } from "../../src/node/stats.js";
import {
  counted,
  descendants,
  grown,
  type Meminfo,
  memoryOf,
  pidsWhose,
  settledMeminfo,
  taken,
} from "../memory.js";
import { claimAll, emptySlots, fillSlots } from "../scale/claims.js";
import type { Stage } from "../stage.js";
import { openCpuMeter, rssOf } from "../usage.js";

export interface Point {
  readonly live: number;
  /** By what has become unavailable on the whole machine. */
  readonly perSandboxBytes: number;
  /** How the lines of /proc/meminfo have grown, all sandboxes together. */
  readonly grownBytes: Readonly<Record<string, number>>;
  /**
   * What is certainly theirs, whatever else runs on the machine: what the sandboxes' control groups are charged, page
   * cache of files apart, the shims, memoryd, and by how much containerd and the agent have grown.
   */
  readonly countedPerSandboxBytes: number;
  readonly containerdPssBytes: number;
  readonly shims: number;
  readonly shimsPssBytes: number;
  readonly memorydPssBytes: number;
  /** Of all sandboxes' processes, the guests' included; what they share counts once. */
  readonly processesPssBytes: number;
  readonly agentRssBytes: number;
  readonly agentCpuPercent: number;
  readonly memorydCpuPercent: number;
  /** Of a listing of all of them, five times. */
  readonly listMs: readonly number[];
  readonly claimMs: readonly number[];
  /** Why nothing was claimed. */
  readonly claimProblem?: string;
}

export interface PointOptions {
  readonly template: string;
  readonly before: Before;
  /** Pids of the sandboxes' guests. */
  readonly guests: readonly number[];
  readonly idleSeconds: number;
}

/** Before the first sandbox. */
export interface Before {
  readonly meminfo: Meminfo;
  readonly agentPssBytes: number;
  readonly containerdPssBytes: number;
}

const claims = 10;
const listings = 5;

export async function measureBefore(stage: Stage): Promise<Before> {
  const meminfo = await settledMeminfo();
  return {
    meminfo,
    agentPssBytes: (await memoryOf([await agentPid(stage)])).pssBytes,
    containerdPssBytes: (await memoryOf([await containerdPid(stage)])).pssBytes,
  };
}

export async function measurePoint(stage: Stage, options: PointOptions): Promise<Point> {
  const { template, before, guests, idleSeconds } = options;
  const live = guests.length;
  const agent = await agentPid(stage);
  const after = await settledMeminfo();
  const shimPids = await pidsWhose(
    ([program = "", ...rest]) =>
      program.endsWith("containerd-shim-runc-v2") &&
      rest.includes(join(stage.run, "containerd/containerd.sock")),
  );
  const memoryd = await pidsWhose(
    ([program = "", ...rest]) => program.endsWith("memoryd") && rest.includes(stage.memorydSocket),
  );
  const cpu = await cpuWhileIdle([[agent], memoryd], idleSeconds);
  const { pssBytes: shimsPssBytes } = await memoryOf(shimPids);
  const { pssBytes: memorydPssBytes } = await memoryOf(memoryd);
  const { pssBytes: containerdPssBytes } = await memoryOf([await containerdPid(stage)]);
  return {
    live,
    perSandboxBytes: taken(before.meminfo, after) / live,
    grownBytes: Object.fromEntries(counted.map((key) => [key, grown(before.meminfo, after, key)])),
    countedPerSandboxBytes:
      ((await heldBy(guests)) +
        shimsPssBytes +
        memorydPssBytes +
        (containerdPssBytes - before.containerdPssBytes) +
        ((await memoryOf([agent])).pssBytes - before.agentPssBytes)) /
      live,
    containerdPssBytes,
    shims: shimPids.length,
    shimsPssBytes,
    memorydPssBytes,
    processesPssBytes: (await memoryOf((await Promise.all(guests.map(descendants))).flat())).pssBytes,
    agentRssBytes: await rssOf(agent),
    agentCpuPercent: cpu[0] ?? Number.NaN,
    memorydCpuPercent: cpu[1] ?? Number.NaN,
    listMs: await measureListings(stage),
    ...(await measureClaims(stage, template)),
  };
}

async function measureClaims(
  { api }: Stage,
  template: string,
): Promise<Pick<Point, "claimMs" | "claimProblem">> {
  try {
    await fillSlots(api, template, claims);
    return { claimMs: await claimAll(api, template, { count: claims, atOnce: 1 }) };
  } catch (error) {
    return { claimMs: [], claimProblem: error instanceof Error ? error.message : String(error) };
  } finally {
    await emptySlots(api, template);
  }
}

async function measureListings({ api }: Stage): Promise<number[]> {
  const listMs: number[] = [];
  for (let round = 0; round < listings; round++) {
    const started = performance.now();
    await api.sandboxes.list({});
    listMs.push(performance.now() - started);
  }
  return listMs;
}

async function heldBy(guests: readonly number[]): Promise<number> {
  const mounts = parseCgroupMounts(await readFile("/proc/self/mountinfo", "utf8"));
  const held = await mapLimited(guests, 16, (pid) => readHeldBytes(mounts, pid));
  return held.reduce((sum, bytes) => sum + bytes, 0);
}

const agentPid = ({ run: directory }: Stage) => pidIn(join(directory, "agent.pid"));
const containerdPid = ({ run: directory }: Stage) => pidIn(join(directory, "containerd.pid"));

async function pidIn(file: string): Promise<number> {
  const [pid] = (await readFile(file, "utf8")).split(" ");
  return Number(pid);
}

/** Percent of one core that each group of processes has used. */
async function cpuWhileIdle(groups: readonly (readonly number[])[], seconds: number): Promise<number[]> {
  const started = performance.now();
  const meter = await openCpuMeter(groups);
  await wait(seconds * 1000);
  const used = await meter.read();
  const passed = (performance.now() - started) / 1000;
  return used.map((value) => (100 * value) / passed);
}
