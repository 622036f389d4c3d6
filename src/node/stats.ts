/** One reading of what a sandbox uses: its cgroups, its layer, its guest. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Containerd } from "../containerd/client.js";
import type { Clock } from "../lib/clock.js";
import { DomainError } from "../lib/errors.js";
import { settleLimited } from "../lib/limit.js";
import { readProcessIdentity } from "../lib/process-identity.js";
import {
  type CgroupDirectory,
  type CgroupMounts,
  cgroupDirectory,
  parseKeyed,
  parseLimit,
  parseMembership,
  parseNumber,
  type Resource,
} from "./cgroup.js";
import type { Stats } from "./node.js";
import type { Paths } from "./paths.js";
import { findLive, type LiveSandbox, type SandboxFinder } from "./running.js";
import { sharedBytesMax } from "./shared-memory.js";

export interface StatsDeps extends SandboxFinder {
  readonly containerd: { readonly snapshots: Pick<Containerd["snapshots"], "usage"> };
  readonly now: Clock;
  readonly paths: Paths;
  readonly cgroups: CgroupMounts;
}

/** `failed_precondition` unless it runs, `unavailable` when its processes have just ended. */
export async function readStats(deps: StatsDeps, ref: string, signal: AbortSignal): Promise<Stats> {
  const sandbox = findLive(deps, ref, "read the usage of");
  const [usage, layer, sharedMemoryMaxBytes] = await Promise.all([
    readUsage(deps.cgroups, sandbox.state.pid).catch((cause: unknown) => {
      throw hasEnded(sandbox, cause);
    }),
    deps.containerd.snapshots.usage(sandbox.snapshotKey, signal),
    // What of it is resident would be in smaps_rollup, which takes 8 ms and more for each GiB of a process.
    sharedBytesMax(deps, sandbox.id),
  ]);
  // The pid was the sandbox's when it was read only if it still is.
  const identity = await readProcessIdentity(sandbox.state.pid);
  if (identity?.start !== sandbox.state.pidStart) throw hasEnded(sandbox);
  return { readAt: deps.now(), layerBytes: layer.sizeBytes, sharedMemoryMaxBytes, ...usage };
}

/** Readings that are under way at once, of one call: each opens a dozen files. */
const readingsAtOnce = 8;

export async function listStats(
  deps: StatsDeps,
  refs: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Stats>> {
  const read = async (ref: string) => [ref, await readStats(deps, ref, signal)] as const;
  const readings = await settleLimited(refs, readingsAtOnce, read, signal);
  signal.throwIfAborted();
  return new Map(readings.flatMap((it) => (it.status === "fulfilled" ? [it.value] : [])));
}

function hasEnded({ id }: LiveSandbox, cause?: unknown): unknown {
  if (cause instanceof DomainError) return cause;
  return new DomainError("unavailable", `sandbox ${id}: its usage cannot be read, its processes have ended`, {
    cause,
  });
}

type GroupStats = Omit<Stats, "readAt" | "layerBytes" | "guestRssBytes" | "sharedMemoryMaxBytes">;

/** Reads the control groups that process `pid` of this machine is in, and its own memory. */
export async function readUsage(
  mounts: CgroupMounts,
  pid: number,
): Promise<GroupStats & Pick<Stats, "guestRssBytes">> {
  const [membershipText, status] = await Promise.all([
    readFile(`/proc/${pid}/cgroup`, "utf8"),
    readFile(`/proc/${pid}/status`, "utf8"),
  ]);
  const membership = parseMembership(membershipText);
  const groups = await readGroups((resource) => cgroupDirectory(resource, mounts, membership));
  return { ...groups, guestRssBytes: parseRssBytes(status) };
}

/**
 * What ends with the sandbox of process `pid`: all that its group is charged, the kernel's memory too, but no page
 * cache of files. That goes when it must, and memory files' is of all that map them, whoever has read them first.
 */
export async function readHeldBytes(mounts: CgroupMounts, pid: number): Promise<number> {
  const membership = await readFile(`/proc/${pid}/cgroup`, "utf8");
  return readHeld(cgroupDirectory("memory", mounts, parseMembership(membership)));
}

/** Of one group, as readHeldBytes. */
export async function readHeld(directory: CgroupDirectory): Promise<number> {
  const files = memoryFiles[directory.version];
  const [usage, statText] = await Promise.all([read(directory, files.usage), read(directory, "memory.stat")]);
  const stat = parseKeyed(statText);
  const of = (name: string) => Number(stat.get(name) ?? 0n);
  // Memory of a tmpfs counts as page cache there, but has no file to come back from.
  const reclaimable = of(files.cache) - of(files.shmem);
  return Math.max(Number(parseNumber(usage)) - reclaimable, of(files.rss));
}

/** Reads one group, or in version 1 one for each resource. */
export async function readGroups(directoryOf: (resource: Resource) => CgroupDirectory): Promise<GroupStats> {
  const [cpuUsageNs, memory, tasks] = await Promise.all([
    readCpu(directoryOf("cpuacct")),
    readMemory(directoryOf("memory")),
    readPids(directoryOf("pids")),
  ]);
  return { cpuUsageNs, ...memory, ...tasks };
}

/** VmRSS of /proc/PID/status (proc_pid_status(5)), which is in KiB; a process that has ended has none. */
export function parseRssBytes(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

async function readCpu(directory: CgroupDirectory): Promise<bigint> {
  if (directory.version === 1) return parseNumber(await read(directory, "cpuacct.usage"));
  const stat = parseKeyed(await read(directory, "cpu.stat"));
  return (stat.get("usage_usec") ?? 0n) * 1000n;
}

type MemoryStats = Pick<Stats, "memoryUsageBytes" | "memoryRssBytes" | "memoryLimitBytes" | "oomKills">;

// The root group of version 2 has neither memory.current nor limits; a sandbox is never in it.
const memoryFiles = {
  1: {
    usage: "memory.usage_in_bytes",
    limit: "memory.limit_in_bytes",
    events: "memory.oom_control",
    rss: "total_rss",
    cache: "total_cache",
    shmem: "total_shmem",
  },
  2: {
    usage: "memory.current",
    limit: "memory.max",
    events: "memory.events",
    rss: "anon",
    cache: "file",
    shmem: "shmem",
  },
} as const;

async function readMemory(directory: CgroupDirectory): Promise<MemoryStats> {
  const files = memoryFiles[directory.version];
  const [usage, limitText, stat, events] = await Promise.all([
    read(directory, files.usage),
    read(directory, files.limit),
    read(directory, "memory.stat"),
    read(directory, files.events),
  ]);
  const limit = parseLimit(limitText);
  return {
    memoryUsageBytes: Number(parseNumber(usage)),
    memoryRssBytes: Number(parseKeyed(stat).get(files.rss) ?? 0n),
    oomKills: Number(parseKeyed(events).get("oom_kill") ?? 0n),
    ...(limit === undefined ? {} : { memoryLimitBytes: limit }),
  };
}

async function readPids(directory: CgroupDirectory): Promise<Pick<Stats, "pids" | "pidsLimit">> {
  const [current, max] = await Promise.all([read(directory, "pids.current"), read(directory, "pids.max")]);
  const limit = parseLimit(max);
  return { pids: Number(parseNumber(current)), ...(limit === undefined ? {} : { pidsLimit: limit }) };
}

function read({ path }: CgroupDirectory, file: string): Promise<string> {
  return readFile(join(path, file), "utf8");
}
