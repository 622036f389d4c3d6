/**
 * Processes under a debugger. CRIU needs their place as tracer, and gives up on one that is traced only after it
 * has held the whole sandbox still for ten seconds.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { DomainError } from "../lib/errors.js";
import { presentSync } from "../lib/present.js";

/** Throws `failed_precondition`, naming a process, when any thread of these is traced (proc_pid_status(5)). */
export async function refuseTraced(id: string, pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    const traced = await tracedThread(pid);
    if (traced === undefined) continue;
    throw new DomainError(
      "failed_precondition",
      `cannot dump sandbox ${id}: process ${traced.pid} (${traced.name}) is traced by another one`,
      { hint: "end the debugger or strace in the sandbox and try again" },
    );
  }
}

interface Traced {
  /** As it counts itself, in the innermost pid namespace. */
  readonly pid: string;
  readonly name: string;
}

/** Reading one takes some 20 µs. */
const threadsPerTurn = 64;

async function tracedThread(pid: number): Promise<Traced | undefined> {
  const threads = presentSync(() => readdirSync(`/proc/${pid}/task`)) ?? [];
  for (const [index, thread] of threads.entries()) {
    if (index % threadsPerTurn === threadsPerTurn - 1) await setImmediate();
    const path = `/proc/${pid}/task/${thread}/status`;
    const traced = parseTracing(presentSync(() => readFileSync(path, "utf8")) ?? "");
    if (traced !== undefined) return traced;
  }
  return undefined;
}

/** Of /proc/PID/status; undefined for one that nobody traces. */
export function parseTracing(status: string): Traced | undefined {
  const fields = new Map<string, string>();
  for (const line of status.split("\n")) {
    const [, key, value = ""] = /^(\w+):\t(.*)$/.exec(line) ?? [];
    if (key !== undefined) fields.set(key, value);
  }
  if (Number(fields.get("TracerPid") ?? "0") === 0) return undefined;
  const pid = fields.get("NSpid")?.split("\t").at(-1) ?? fields.get("Pid") ?? "?";
  return { pid, name: fields.get("Name") ?? "?" };
}
