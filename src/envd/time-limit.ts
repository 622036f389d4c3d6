/** The time of a process that a call has started: it is the process's own, whether the client stays or not. */
import { isDomainError } from "../lib/errors.js";
import type { EnvdDeps } from "./deps.js";
import { untilGone } from "./presence.js";

const sigkill = 9;
const killMs = 10_000;
/** What a timer holds. */
const timeoutMsMax = 2 ** 31 - 1;

export interface Limited {
  readonly sandbox: string;
  readonly pid: number;
  readonly afterMs: number;
}

/**
 * Kills a process that has just been started, and its group, when its time is up, unless what has its pid by then is
 * another one. Disposing calls it off.
 */
export function limitTime(deps: EnvdDeps, { sandbox, pid, afterMs }: Limited): Disposable {
  const startedBy = Date.now();
  const timer = setTimeout(
    () => void end(deps, { sandbox, pid, startedBy }),
    Math.min(Math.max(afterMs, 0), timeoutMsMax),
  );
  timer.unref();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

async function end(
  deps: EnvdDeps,
  { sandbox, pid, startedBy }: { readonly sandbox: string; readonly pid: number; readonly startedBy: number },
): Promise<void> {
  const { node, log } = deps;
  const signal = AbortSignal.timeout(killMs);
  try {
    const known = await node.processes.list(sandbox, signal);
    const isThere = known.some(
      (process) =>
        process.pid === pid && process.exited === undefined && process.startedAt.getTime() <= startedBy,
    );
    if (isThere) await node.processes.signal(sandbox, pid, sigkill, { group: true }, signal);
  } catch (err) {
    // It has ended, or its sandbox does not run.
    if (isDomainError(err, "not_found") || isDomainError(err, "failed_precondition")) return;
    // It is being deleted: clients often do that next.
    if (isDomainError(err, "unavailable") && (await untilGone(deps, sandbox))) return;
    log.warn({ err, sandbox, pid }, "a process whose time was up could not be killed");
  }
}
