/** Wires the verbs to what they work with, and runs what goes on by itself. */
import type { Fleet } from "../fleet/fleet.js";
import { createBell } from "../lib/bell.js";
import type { Clock } from "../lib/clock.js";
import type { Logger } from "../lib/log.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import { createClaimed } from "./claimed.js";
import { connectSandbox } from "./connect.js";
import { type CreateDeps, createSandbox } from "./create.js";
import { defaultSettings, findOwned, type RegistrySettings } from "./deps.js";
import { createExpiry, sweepEveryMs } from "./expiry.js";
import { refreshSandbox, setSandboxNetwork, setSandboxTimeout } from "./extend.js";
import { forkSandbox } from "./fork.js";
import { killSandbox } from "./kill.js";
import { createLeftovers } from "./leftovers.js";
import { listSandboxes } from "./list.js";
import { readLogs } from "./logs.js";
import { createMetrics } from "./metrics.js";
import type { Nodes, NodesListener } from "./nodes.js";
import { type OnNodes, openOnNodes } from "./on-nodes.js";
import { openOwned } from "./owned.js";
import { pauseSandbox } from "./pause.js";
import { openPools, type Pools } from "./pools.js";
import { createReconciler } from "./reconcile.js";
import type { Metric, Registry, Sandboxes } from "./registry.js";
import { answersKeptMs } from "./requests.js";
import { createSizes } from "./sizes.js";
import { openSnapshots } from "./snapshots.js";
import { openTemplates } from "./templates.js";
import { createTicker } from "./ticker.js";
import { openTraffic, type Traffic } from "./traffic.js";
import { createTurns } from "./turns.js";
import { createUsage } from "./usage.js";

export interface RegistryParts {
  readonly store: RegistryStore;
  readonly fleet: Fleet;
  /** `list`, `get` and `api` are called once it has been listened to. */
  readonly nodes: Pick<Nodes, "list" | "get" | "api">;
  readonly now: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly settings?: Partial<RegistrySettings>;
}

export interface OpenRegistry extends AsyncDisposable {
  readonly registry: Registry;
  readonly pools: Pools;
  readonly traffic: Traffic;
  readonly onNodes: OnNodes;
  /** To be told what nodes report. */
  readonly listener: NodesListener;
}

/** Reads all records; what was due while no registry ran is done at once. */
export async function openRegistry(parts: RegistryParts): Promise<OpenRegistry> {
  const { store, fleet, nodes, now, random, log } = parts;
  const settings = { ...defaultSettings, ...parts.settings };
  const usage = createUsage();
  const metrics = createMetrics(nodes, now);
  const expiry = createExpiry(() => deps);
  const claimed = createClaimed(store.catalogue);
  const followers = [usage, metrics, expiry, claimed];
  const owned = openOwned(store.sandboxes, (id, sandbox) => {
    for (const follower of followers) follower.changed(id, sandbox);
  });
  const leftovers = createLeftovers({ catalogue: store.catalogue, nodes, log, askMs: settings.askMs });
  const deps: CreateDeps = {
    ...{ store, owned, fleet, nodes, usage, metrics, leftovers, now, random, log, settings },
    turns: createTurns(),
    inFlight: new Map(),
    freed: createBell(),
    sizes: createSizes(nodes, now),
    waiting: { count: 0 },
  };
  for await (const some of store.sandboxes.outlines())
    for (const sandbox of some) for (const follower of followers) follower.changed(sandbox.id, sandbox);
  const reconciler = createReconciler(deps);
  const ticker = createTicker(log);
  ticker.every(sweepEveryMs, "time-outs", async () => void expiry.sweep());
  ticker.every(1_000, "metrics", (signal) => metrics.sample(signal));
  ticker.every(1_000, "orphans", () => reconciler.sweep());
  ticker.every(10_000, "left-over checkpoints", () => leftovers.sweep());
  ticker.every(600_000, "answered requests", async () => {
    await store.requests.removeAnswered(new Date(now().getTime() - answersKeptMs));
  });
  const { poolWindowMs: windowMs } = settings;
  const pools = openPools({ store, nodes, claimed: claimed.of, windowMs, now, log });
  return {
    registry: {
      sandboxes: openSandboxes(deps),
      snapshots: openSnapshots(deps),
      templates: openTemplates(deps),
    },
    pools,
    traffic: openTraffic(deps, store.teams),
    onNodes: openOnNodes(deps),
    listener: reconciler,
    async [Symbol.asyncDispose]() {
      await pools[Symbol.asyncDispose]();
      await ticker[Symbol.asyncDispose]();
    },
  };
}

function openSandboxes(deps: CreateDeps): Sandboxes {
  return {
    create: (team, options, signal) => createSandbox(deps, team, options, signal),
    get: (team, id) => findOwned(deps, team, id),
    list: (team, query) => listSandboxes(deps, team, query),
    countRunning: (team) => deps.usage.of(team.id).sandboxes,
    connect: (team, id, options, signal) => connectSandbox(deps, team, id, options, signal),
    pause: (team, id, options, signal) => pauseSandbox(deps, team, id, options, signal),
    setTimeout: (team, id, timeoutMs) => setSandboxTimeout(deps, team, id, timeoutMs),
    refresh: (team, id, timeoutMs) => refreshSandbox(deps, team, id, timeoutMs),
    setNetwork: (team, id, change) => setSandboxNetwork(deps, team, id, change),
    kill: (team, id) => killSandbox(deps, team, id),
    fork: (team, id, options, signal) => forkSandbox(deps, team, id, options, signal),
    async metrics(team, id, window) {
      await findOwned(deps, team, id);
      return deps.metrics.of(id, window);
    },
    newestMetrics: async (team, ids) => {
      const found = new Map<string, Metric>();
      for (const id of ids) {
        const sandbox = await deps.owned.find(id);
        const newest = sandbox?.team === team.id ? deps.metrics.newest(id) : undefined;
        if (newest !== undefined) found.set(id, newest);
      }
      return found;
    },
    logs: async (team, id, signal) => readLogs(deps, await findOwned(deps, team, id), signal),
  };
}
