/** Work in parallel, with a limit. */
import { createBell } from "./bell.js";
import { linkSignals } from "./signal.js";

export interface Limiter {
  /** Runs `task` when fewer than the limit run; leaves the line with the signal's reason when it aborts. */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Waits until there is a free place and nobody in line. It may be gone again by the time that the caller runs. */
  idle(signal: AbortSignal): Promise<void>;
}

/** First come, first served. The line is as long as its callers make it: they bound it. */
export function createLimiter(limit: number): Limiter {
  let running = 0;
  const waiting = new Set<() => void>();
  const left = createBell();

  function enter(signal?: AbortSignal): Promise<void> | undefined {
    signal?.throwIfAborted();
    if (running < limit) {
      running++;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        waiting.delete(admit);
        reject(signal?.reason);
      };
      const admit = () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      waiting.add(admit);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  // The place is handed straight to the next in line, so `running` never dips and nobody jumps in.
  function leave(): void {
    const [next] = waiting;
    if (next === undefined) {
      running--;
      left.ring();
      return;
    }
    waiting.delete(next);
    next();
  }

  return {
    async run(task, signal) {
      await enter(signal);
      try {
        return await task();
      } finally {
        leave();
      }
    },
    async idle(signal) {
      signal.throwIfAborted();
      while (running >= limit) await left.rung(signal);
    },
  };
}

/** Called with each item, its index, and a signal that aborts when another item has failed. */
export type EachItem<T, R> = (item: T, index: number, signal: AbortSignal) => Promise<R>;

/**
 * Maps with at most `limit` at a time, results in order. The first failure aborts the others' signal, starts
 * no more, and is thrown once those already running have settled.
 */
export async function mapLimited<T, R>(
  items: readonly T[],
  limit: number,
  each: EachItem<T, R>,
  signal?: AbortSignal,
): Promise<R[]> {
  using linked = signal === undefined ? linkSignals() : linkSignals(signal);
  const results: R[] = [];
  const failures: unknown[] = [];
  await drain(items, limit, linked.signal, async (item, index) => {
    try {
      results[index] = await each(item, index, linked.signal);
    } catch (thrown) {
      failures.push(thrown);
      linked.abort(thrown);
    }
  });
  if (failures.length > 0) throw failures[0];
  linked.signal.throwIfAborted();
  return results;
}

/** As mapLimited, but one failure leaves the others alone. After an abort, the rest are rejected unstarted. */
export async function settleLimited<T, R>(
  items: readonly T[],
  limit: number,
  each: (item: T, index: number) => Promise<R>,
  signal?: AbortSignal,
): Promise<PromiseSettledResult<R>[]> {
  const rejected = (): PromiseSettledResult<R> => ({ status: "rejected", reason: signal?.reason });
  const results: (PromiseSettledResult<R> | undefined)[] = items.map(() => undefined);
  await drain(items, limit, signal, async (item, index) => {
    results[index] = await each(item, index).then(
      (value): PromiseSettledResult<R> => ({ status: "fulfilled", value }),
      (reason: unknown): PromiseSettledResult<R> => ({ status: "rejected", reason }),
    );
  });
  return results.map((result) => result ?? rejected());
}

async function drain<T>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal | undefined,
  each: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const rest = items.entries();
  const worker = async () => {
    for (const [index, item] of rest) {
      if (signal?.aborted) return;
      await each(item, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(Math.max(1, limit), items.length) }, worker));
}
