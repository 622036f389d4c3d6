/** What processes have used of the machine, by /proc. */
import { readFile } from "node:fs/promises";
import { run } from "./run.js";

export interface CpuMeter {
  /** Seconds of processor time since it was opened, for each group of processes. */
  read(): Promise<readonly number[]>;
}

export async function openCpuMeter(groups: readonly (readonly number[])[]): Promise<CpuMeter> {
  const perSecond = Number(await run("getconf", ["CLK_TCK"]));
  const ticks = () => Promise.all(groups.map(ticksOf));
  const before = await ticks();
  return {
    async read() {
      const now = await ticks();
      return now.map((value, index) => (value - (before[index] ?? 0)) / perSecond);
    },
  };
}

async function ticksOf(pids: readonly number[]): Promise<number> {
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")));
  return stats.reduce((sum, text) => {
    // The name in parentheses may hold spaces; after it, utime and stime are fields 12 and 13.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return sum + Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }, 0);
}

export async function rssOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
