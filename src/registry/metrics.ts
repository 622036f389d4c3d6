/** What running sandboxes use, sampled from their nodes, one call for each, into a bounded ring for each sandbox. */
import type { NodeId } from "../fleet/node.js";
import type { SandboxOutline } from "../fleet/sandbox.js";
import type { StatsResponse } from "../gen/ramet/v1/sandbox_pb.js";
import type { Clock } from "../lib/clock.js";
import { settleLimited } from "../lib/limit.js";
import type { AgentApi } from "./nodes.js";
import type { Metric, TimeWindow } from "./registry.js";

export const sampleEveryMs = 5_000;
/** Ten minutes. */
const samplesMax = 120;
/** Nodes that are asked in one second: with more than can be asked at this rate, each is asked less often. */
const callsMax = 100;
/** Sandboxes in one call: a node that runs more is asked more often, for some of them each time. */
const readingsMax = 200;
const callsAtOnce = 16;
const askMs = 5_000;

type Sampled = Pick<SandboxOutline, "node" | "state" | "cpus" | "memoryBytes" | "diskBytes">;

export interface MetricNodes {
  api(id: NodeId): { readonly sandboxes: Pick<AgentApi["sandboxes"], "listStats"> };
}

export interface Metrics {
  /** A record has changed, or is gone. */
  changed(id: string, sandbox: Sampled | undefined): void;
  /** Asks the nodes that are due; to be called every second. */
  sample(signal: AbortSignal): Promise<void>;
  /** Oldest first. */
  of(id: string, window: TimeWindow): readonly Metric[];
  newest(id: string): Metric | undefined;
  /** Whether its record says that it runs, and there. */
  isRunningOn(node: NodeId, id: string): boolean;
}

interface Series {
  readonly node: NodeId;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly samples: Metric[];
  /** Of the last reading, for the difference to the next one. */
  cpu?: { readonly at: number; readonly usageNs: bigint };
}

/** A node with running sandboxes. */
interface Asked {
  /** Those first that were asked for longest ago. */
  readonly running: Set<string>;
  dueAt: number;
}

export function createMetrics(nodes: MetricNodes, now: Clock): Metrics {
  const all = new Map<string, Series>();
  // Those first that were asked longest ago.
  const asked = new Map<NodeId, Asked>();

  async function ask(node: NodeId, sandboxes: readonly string[], signal: AbortSignal): Promise<void> {
    try {
      const options = { signal, timeoutMs: askMs };
      const { stats } = await nodes.api(node).sandboxes.listStats({ sandboxes: [...sandboxes] }, options);
      const at = now();
      for (const id of sandboxes) {
        const [series, reading] = [all.get(id), stats[id]];
        if (series !== undefined && reading !== undefined) addSample(series, reading, at);
      }
    } catch {
      // The node is away: there is no reading.
    }
  }

  function stop(id: string, { node }: Series): void {
    const from = asked.get(node);
    from?.running.delete(id);
    if (from?.running.size === 0) asked.delete(node);
  }

  function start(id: string, { node }: Series): void {
    const to = asked.get(node);
    if (to === undefined) asked.set(node, { running: new Set([id]), dueAt: 0 });
    else to.running.add(id);
  }

  return {
    changed(id, sandbox) {
      const known = all.get(id);
      if (sandbox === undefined) {
        all.delete(id);
        if (known !== undefined) stop(id, known);
        return;
      }
      const series = known ?? newSeries(sandbox);
      all.set(id, series);
      if (sandbox.state.status === "running") {
        start(id, series);
        return;
      }
      stop(id, series);
      delete series.cpu;
    },
    async sample(signal) {
      const at = now().getTime();
      const due = [...asked].filter(([, { dueAt }]) => dueAt <= at).slice(0, callsMax);
      const calls = due.map(([node, it]) => {
        asked.delete(node);
        asked.set(node, it);
        it.dueAt = at + sampleEveryMs * Math.min(1, readingsMax / it.running.size);
        return [node, takeTurn(it.running)] as const;
      });
      await settleLimited(calls, callsAtOnce, ([node, ids]) => ask(node, ids, signal), signal);
    },
    of(id, { from, until }) {
      const samples = all.get(id)?.samples ?? [];
      return samples.filter(
        ({ at }) => (from === undefined || at >= from) && (until === undefined || at <= until),
      );
    },
    newest: (id) => all.get(id)?.samples.at(-1),
    isRunningOn: (node, id) => asked.get(node)?.running.has(id) === true,
  };
}

function newSeries({ node, cpus, memoryBytes, diskBytes }: Sampled): Series {
  return { node, cpus, memoryBytes, diskBytes, samples: [] };
}

/** Those whose turn it is; they go to the end. */
function takeTurn(ids: Set<string>): readonly string[] {
  const some = [...ids].slice(0, readingsMax);
  for (const id of some) {
    ids.delete(id);
    ids.add(id);
  }
  return some;
}

function addSample(series: Series, stats: StatsResponse, at: Date): void {
  const { cpus, memoryBytes, diskBytes, cpu: before } = series;
  const used = Number(stats.memoryRssBytes);
  const readAt =
    stats.readAt === undefined
      ? at.getTime()
      : Number(stats.readAt.seconds) * 1000 + stats.readAt.nanos / 1e6;
  const passedMs = before === undefined ? 0 : readAt - before.at;
  const spentNs = before === undefined ? 0 : Number(stats.cpuUsageNs - before.usageNs);
  series.cpu = { at: readAt, usageNs: stats.cpuUsageNs };
  series.samples.push({
    at,
    cpus,
    cpuUsedPct: passedMs > 0 && spentNs > 0 ? Math.round(spentNs / passedMs / 100) / 100 : 0,
    memoryUsedBytes: used,
    memoryBytes,
    memoryCacheBytes: Math.max(0, Number(stats.memoryUsageBytes) - used),
    diskUsedBytes: Number(stats.layerBytes),
    diskBytes,
  });
  if (series.samples.length > samplesMax) series.samples.shift();
}
