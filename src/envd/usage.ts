/** GET /metrics: what a sandbox uses now. */
import { availableParallelism, totalmem } from "node:os";
import { delay } from "../lib/signal.js";
import type { EnvdNode } from "./deps.js";

const mebibyte = 1024 * 1024;
/** Between two readings of the time that its processors have worked. */
const apartMs = 100;

export async function usageBody({ sandboxes, info }: EnvdNode, id: string, signal: AbortSignal) {
  const { spec } = await sandboxes.get(id);
  const before = await sandboxes.stats(id, signal);
  await delay(apartMs, signal);
  const [now, { diskFreeBytes }] = await Promise.all([sandboxes.stats(id, signal), info(signal)]);
  const elapsedNs = (now.readAt.getTime() - before.readAt.getTime()) * 1e6;
  const used = Number(now.cpuUsageNs - before.cpuUsageNs) / Math.max(elapsedNs, 1);
  const total = now.memoryLimitBytes ?? totalmem();
  return {
    ts: Math.floor(now.readAt.getTime() / 1000),
    cpu_count: Math.max(1, Math.ceil(spec.limits.cpus ?? availableParallelism())),
    // 100 is one core busy.
    cpu_used_pct: Math.round(used * 10_000) / 100,
    mem_total: total,
    mem_used: now.memoryUsageBytes,
    mem_cache: Math.max(0, now.memoryUsageBytes - now.memoryRssBytes),
    mem_total_mib: Math.round(total / mebibyte),
    mem_used_mib: Math.round(now.memoryUsageBytes / mebibyte),
    disk_used: now.layerBytes,
    // Sandboxes share the node's disk.
    disk_total: now.layerBytes + diskFreeBytes,
  };
}
