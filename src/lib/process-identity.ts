/** A process is named by pid and start time: a pid alone is reused. */
import { readFile } from "node:fs/promises";
import { DomainError } from "./errors.js";

export interface ProcessIdentity {
  readonly pid: number;
  /** Boot and clock ticks since it: never the same for two processes of one pid, reboots included. */
  readonly start: string;
}

export interface ProcStat {
  readonly pid: number;
  readonly name: string;
  /** One letter; Z and X are dead. */
  readonly state: string;
  readonly parentPid: number;
  readonly startTicks: string;
}

/** Parses /proc/PID/stat (proc_pid_stat(5)). The name may hold spaces and parentheses. */
export function parseProcStat(text: string): ProcStat {
  const match = /^(\d+) \((.*)\) (\S) (.*)$/s.exec(text.trimEnd());
  const rest = match?.[4]?.split(" ") ?? [];
  const [parentPid] = rest;
  // Field 22 of the file; the rest begins with field 4.
  const startTicks = rest[18];
  if (match === null || parentPid === undefined || startTicks === undefined || !/^\d+$/.test(startTicks)) {
    throw new DomainError("internal", `unreadable /proc/PID/stat: ${JSON.stringify(text.slice(0, 80))}`);
  }
  return {
    pid: Number(match[1]),
    name: match[2] ?? "",
    state: match[3] ?? "",
    parentPid: Number(parentPid),
    startTicks,
  };
}

export function isDead(stat: ProcStat): boolean {
  return stat.state === "Z" || stat.state === "X" || stat.state === "x";
}

/** Combines what tells a process apart; `bootId` is /proc/sys/kernel/random/boot_id. */
export function identityOf(stat: ProcStat, bootId: string): ProcessIdentity {
  return { pid: stat.pid, start: `${bootId.trim().slice(0, 8)}-${stat.startTicks}` };
}

/** Undefined when no live process has this pid. */
export async function readProcessIdentity(pid: number): Promise<ProcessIdentity | undefined> {
  const [text, bootId] = await Promise.all([
    readFile(`/proc/${pid}/stat`, "utf8").catch(absent),
    readFile("/proc/sys/kernel/random/boot_id", "utf8"),
  ]);
  if (text === undefined) return undefined;
  const stat = parseProcStat(text);
  return isDead(stat) ? undefined : identityOf(stat, bootId);
}

// ESRCH: the process ended between open and read.
function absent(thrown: NodeJS.ErrnoException): undefined {
  if (thrown.code === "ENOENT" || thrown.code === "ESRCH") return undefined;
  throw thrown;
}

/** The process is gone, or will be as soon as it may run: a frozen one keeps its SIGKILL waiting (proc_pid_status(5)). */
export function isDoomed(status: string): boolean {
  const pending = [...status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)];
  const killed = pending.some(([, mask]) => (BigInt(`0x${mask}`) & sigkillBit) !== 0n);
  return killed || /^State:\s*[ZXx]/m.test(status);
}

const sigkillBit = 1n << 8n;

/** SIGKILL; a process that is gone already is as good. To kill(2), 0 and less are whole groups: never those. */
export function killProcess(pid: number): void {
  if (!Number.isInteger(pid) || pid <= 1) throw new DomainError("internal", `${pid} is no process to kill`);
  try {
    process.kill(pid, "SIGKILL");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ESRCH") throw thrown;
  }
}
