/** What the machine says about its memory, and about that of processes. Bytes everywhere. */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { run } from "./run.js";

export type Meminfo = Readonly<Record<string, number>>;

export async function readMeminfo(): Promise<Meminfo> {
  return kilobytes(await readFile("/proc/meminfo", "utf8"));
}

const settling = { intervalMs: 500, steadyBytes: 2 * 1024 * 1024, tries: 30 };

/** Once nothing waits for the disk, and what the kernel frees later is free: it changes little for a second. */
export async function settledMeminfo(): Promise<Meminfo> {
  await run("sync", []);
  let last = await readMeminfo();
  let steady = 0;
  for (let tries = 0; tries < settling.tries && steady < 2; tries++) {
    await wait(settling.intervalMs);
    const now = await readMeminfo();
    steady = Math.abs(taken(last, now)) < settling.steadyBytes ? steady + 1 : 0;
    last = now;
  }
  return last;
}

export function grown(before: Meminfo, after: Meminfo, key: string): number {
  return (after[key] ?? 0) - (before[key] ?? 0);
}

/** What has become unavailable, of everything on the machine. */
export const taken = (before: Meminfo, after: Meminfo) => -grown(before, after, "MemAvailable");

export const counted = [
  "MemAvailable",
  "MemFree",
  "Cached",
  "AnonPages",
  "Shmem",
  "PageTables",
  "KernelStack",
  "SUnreclaim",
  "SReclaimable",
] as const;

export interface ProcessMemory {
  readonly privateBytes: number;
  /** Shared pages count in parts. */
  readonly pssBytes: number;
}

/** Of processes together; those that have ended count nothing. */
export async function memoryOf(pids: readonly number[]): Promise<ProcessMemory> {
  const sum = { privateBytes: 0, pssBytes: 0 };
  for (const pid of pids) {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
    const sizes = kilobytes(text);
    sum.privateBytes += (sizes["Private_Clean"] ?? 0) + (sizes["Private_Dirty"] ?? 0);
    sum.pssBytes += sizes["Pss"] ?? 0;
  }
  return sum;
}

function kilobytes(text: string): Meminfo {
  return Object.fromEntries(
    [...text.matchAll(/^(\w+):\s+(\d+) kB$/gm)].map(([, name, value]) => [name ?? "", Number(value) * 1024]),
  );
}

export async function descendants(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, "utf8").catch(() => "")),
  );
  const children = lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
  return [pid, ...(await Promise.all(children.map(descendants))).flat()];
}

export async function pidsWhose(isMeant: (argv: readonly string[]) => boolean): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const meant: number[] = [];
  for (const pid of pids) {
    const argv = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (isMeant(argv)) meant.push(Number(pid));
  }
  return meant;
}
