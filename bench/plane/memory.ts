/** Resident memory of processes, and the most that it comes to, by /proc. */
import { readFile, writeFile } from "node:fs/promises";

export interface Growth {
  readonly beforeBytes: number;
  readonly peakBytes: number;
  readonly afterBytes: number;
}

/** The most that each process had while `work` ran, as the kernel keeps it. */
export async function growthOf<T>(
  pids: readonly number[],
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly growth: readonly Growth[] }> {
  // Sets the peak back to what there is now (proc(5), clear_refs).
  for (const pid of pids) await writeFile(`/proc/${pid}/clear_refs`, "5");
  const before = await Promise.all(pids.map((pid) => statusOf(pid, "VmRSS")));
  const result = await work();
  const growth = pids.map(async (pid, index) => ({
    beforeBytes: before[index] ?? 0,
    peakBytes: await statusOf(pid, "VmHWM"),
    afterBytes: await statusOf(pid, "VmRSS"),
  }));
  return { result, growth: await Promise.all(growth) };
}

async function statusOf(pid: number, name: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
}
