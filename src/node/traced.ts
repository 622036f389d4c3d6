/**
 * Processes under a debugger. CRIU needs their place as tracer, and gives up on one that is traced only after it
 * has held the whole sandbox still for ten seconds. memoryd is such a tracer too, of a thread that gives shared memory
 * back, for less than a millisecond; but for as long as the thread stands in the freezer, if it comes in between.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { DomainError } from "../lib/errors.js";
import { presentSync } from "../lib/present.js";
import { delay } from "../lib/signal.js";
import type { Freezer } from "./freezer.js";
import type { Paths } from "./paths.js";
import { hasMemory } from "./shared-memory.js";

/** memoryd's turns follow each other closely where much memory is given back: the first gap will do. */
const passingMs = 5_000;
const pollMs = 1;

/**
 * Throws `failed_precondition`, naming a process, when any thread of the sandbox is traced (proc_pid_status(5)).
 * Waits for memoryd.
 */
export async function refuseTraced(
  freezer: Pick<Freezer, "pids">,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  const endAt = performance.now() + passingMs;
  for (;;) {
    const traced = await findTraced(await freezer.pids(id));
    if (traced === undefined) return;
    if (!isMemoryd(traced) || performance.now() >= endAt)
      throw new DomainError(
        "failed_precondition",
        `cannot dump sandbox ${id}: process ${traced.pid} (${traced.name}) is traced by another one`,
        { hint: "end the debugger or strace in the sandbox and try again" },
      );
    await delay(pollMs, signal);
  }
}

/**
 * Freezes a sandbox when memoryd has none of its threads in its hands: that would keep one for as long as it is frozen,
 * whom CRIU could not have then, and let others wait in the kernel, who cannot be frozen before they are answered.
 */
export function freezeServed(
  { freezer, paths }: { readonly freezer: Pick<Freezer, "freeze" | "pids">; readonly paths: Paths },
  id: string,
): Promise<void> {
  if (!hasMemory({ paths }, id)) return freezer.freeze(id);
  return freezer.freeze(id, async () => {
    const traced = await findTraced(await freezer.pids(id));
    return traced !== undefined && isMemoryd(traced);
  });
}

/** The first, but one of a debugger's before one of memoryd's. */
async function findTraced(pids: readonly number[]): Promise<Traced | undefined> {
  let passing: Traced | undefined;
  for (const pid of pids) {
    const traced = await tracedThread(pid);
    if (traced === undefined) continue;
    if (!isMemoryd(traced)) return traced;
    passing ??= traced;
  }
  return passing;
}

/** A program in the sandbox that calls itself so is waited for, and refused then. */
const isMemoryd = ({ tracer }: Traced) =>
  presentSync(() => readFileSync(`/proc/${tracer}/comm`, "utf8")) === "memoryd\n";

interface Traced {
  /** As it counts itself, in the innermost pid namespace. */
  readonly pid: string;
  readonly name: string;
  /** As the host counts it. */
  readonly tracer: number;
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
  const tracer = Number(fields.get("TracerPid") ?? "0");
  if (tracer === 0) return undefined;
  const pid = fields.get("NSpid")?.split("\t").at(-1) ?? fields.get("Pid") ?? "?";
  return { pid, name: fields.get("Name") ?? "?", tracer };
}
