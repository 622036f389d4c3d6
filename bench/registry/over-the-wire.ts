/** A registry and many light agents that beat: creates per second through REST, and whether all have one owner. */
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { findWrong, readRecorded } from "../../test/support/ownership.js";
import { freeAddress, makeTeam, startRegistryProcess } from "../../test/support/registry-process.js";
import { type Figure, figureOf } from "../figures.js";
import { openCpuMeter, rssOf } from "../usage.js";
import { createMany } from "./creates.js";
import { startFleet } from "./fleet.js";

export interface WireOptions {
  readonly directory: string;
  readonly agents: number;
  readonly seconds: number;
  readonly atOnce: number;
  /** A directory for CPU profiles of the registry. */
  readonly profile?: string | undefined;
  readonly say: (text: string) => void;
}

export interface WireResult {
  readonly agents: number;
  readonly atOnce: number;
  readonly seconds: number;
  readonly created: number;
  readonly perSecond: number;
  readonly ms: Figure | undefined;
  readonly failures: Readonly<Record<string, number>>;
  readonly messages: Readonly<Record<string, string>>;
  /** Of one core, in percent: while the agents only beat, and under load. */
  readonly cpuPercent: Readonly<Record<"registryIdle" | "registry" | "agents" | "client", number>>;
  readonly registryRssBytes: Readonly<Record<"before" | "after", number>>;
  readonly load: number;
  /** Sentences; none when every sandbox has one owner, and every acknowledged one is there. */
  readonly wrong: readonly string[];
}

const agentProcesses = 2;
/** More than any of them has to give before it is refilled. */
const slots = 64;
const template = "base";
const idleMs = 4_000;
/** Reports that are under way, and what was cut short, have ended by then. */
const settleMs = 2_000;

export async function measureWire(options: WireOptions): Promise<WireResult> {
  const { directory, agents, seconds, atOnce, profile, say } = options;
  const dataDir = join(directory, "registry");
  const [rest, nodes] = [await freeAddress(), await freeAddress()];
  const nodeOptions = profile === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", profile];
  await using registry = await startRegistryProcess({ dataDir, rest, nodes, nodeOptions });
  const key = await makeTeam(registry, "bench");
  say(`registry: ${agents} agents join`);
  const fleetOptions = {
    count: agents,
    processes: agentProcesses,
    template,
    slots,
    nodes,
    directory,
    nodeOptions,
  };
  await using fleet = await startFleet(registry, fleetOptions);
  await untilReady(registry.admin, agents);
  const idle = await openCpuMeter([[registry.pid]]);
  await wait(idleMs);
  const [idleCpu = 0] = await idle.read();
  say(`registry: creates for ${seconds} s, ${atOnce} at once`);
  const load = { url: registry.url, key, template, atOnce, count: Number.POSITIVE_INFINITY };
  // The first calls open connections.
  const first = await createMany({ ...load, forMs: 1_000 });
  const before = await rssOf(registry.pid);
  const cpu = await openCpuMeter([[registry.pid], fleet.pids, [process.pid]]);
  const made = await createMany({ ...load, forMs: seconds * 1000 });
  const used = (await cpu.read()).map((spent) => (100 * spent) / made.seconds);
  const result = {
    ...{ agents, atOnce, seconds: made.seconds, created: made.ids.length, ms: figureOf(made.ms) },
    ...{ failures: made.failures, messages: made.messages },
    perSecond: made.ids.length / made.seconds,
    cpuPercent: {
      registryIdle: (100_000 * idleCpu) / idleMs,
      ...{ registry: used[0] ?? 0, agents: used[1] ?? 0, client: used[2] ?? 0 },
    },
    registryRssBytes: { before, after: await rssOf(registry.pid) },
    load: loadavg()[0] ?? 0,
  };
  await wait(settleMs);
  await registry.end("SIGTERM");
  const held = await fleet.inventory();
  const acknowledged = [...first.ids, ...made.ids];
  return { ...result, wrong: findWrong({ recorded: await readRecorded(dataDir), held, acknowledged }) };
}

interface ListedNode {
  readonly health: string;
}

async function untilReady(
  admin: <T>(method: "GET", path: string) => Promise<T>,
  count: number,
): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const nodes = await admin<ListedNode[]>("GET", "/nodes");
    if (nodes.filter(({ health }) => health === "ready").length === count) return;
    await wait(200);
  }
  throw new Error("the agents do not report");
}
