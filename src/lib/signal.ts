/** Abort signals and deadlines that remove their listeners and timers when the work is over. */
import { setMaxListeners } from "node:events";
import { DomainError } from "./errors.js";

export interface LinkedSignal extends Disposable {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
}

/**
 * A signal that aborts with any of its parents, until disposed of. (AbortSignal.any keeps growing the list
 * of a long-lived parent on Node 20.)
 */
export function linkSignals(...parents: readonly AbortSignal[]): LinkedSignal {
  const controller = new AbortController();
  // What runs in parallel listens to one signal; whoever starts it bounds how much that is.
  setMaxListeners(0, controller.signal);
  const follow = (event: Event) => controller.abort((event.target as AbortSignal).reason);
  const unlink = () => {
    for (const parent of parents) parent.removeEventListener("abort", follow);
  };
  for (const parent of parents) {
    if (parent.aborted) {
      controller.abort(parent.reason);
      break;
    }
    parent.addEventListener("abort", follow, { once: true });
  }
  controller.signal.addEventListener("abort", unlink, { once: true });
  if (controller.signal.aborted) unlink();
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]: unlink,
  };
}

/**
 * Runs `work` with a signal that aborts after `timeoutMs` or with `parent`. `what` is for the message of the
 * `deadline_exceeded` that the signal then carries. `work` has to heed its signal: it is awaited to its end.
 */
export async function withDeadline<T>(
  what: string,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  parent?: AbortSignal,
): Promise<T> {
  using linked = parent === undefined ? linkSignals() : linkSignals(parent);
  const timer = setTimeout(() => {
    linked.abort(new DomainError("deadline_exceeded", `${what}: not done within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    linked.signal.throwIfAborted();
    return await work(linked.signal);
  } catch (thrown) {
    // Whatever an aborted call threw, the reason for the abort says more.
    if (linked.signal.aborted && isAbort(thrown)) throw linked.signal.reason;
    throw thrown;
  } finally {
    clearTimeout(timer);
  }
}

/** Settles as `promise` does, or rejects with the signal's reason, whichever comes first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** Resolves after `ms`; rejects at once with the signal's reason when it aborts. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

export interface PollOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** Asks until `condition` gives something other than undefined or false. Throws `deadline_exceeded`. */
export function waitUntil<T>(
  what: string,
  condition: (signal: AbortSignal) => T | Promise<T>,
  { intervalMs, timeoutMs }: PollOptions,
  signal?: AbortSignal,
): Promise<Exclude<T, undefined | false>> {
  const poll = async (linked: AbortSignal) => {
    for (;;) {
      const found = await condition(linked);
      if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
      await delay(intervalMs, linked);
    }
  };
  return withDeadline(what, timeoutMs, poll, signal);
}

function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.name === "AbortError" || thrown.name === "TimeoutError");
}
