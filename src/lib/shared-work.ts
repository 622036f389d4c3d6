/** Work that all who ask for it at the same time have in common: it is done once, for as long as any of them waits. */
import { abortable, linkSignals } from "./signal.js";

interface Work<T> {
  readonly result: Promise<T>;
  readonly abort: (reason: unknown) => void;
  waiting: number;
}

/** Gives a function that joins the work for `key` that is under way, or begins it. Each leaves with its own signal. */
export function shareWork<T>(
  work: (key: string, signal: AbortSignal) => Promise<T>,
): (key: string, signal: AbortSignal) => Promise<T> {
  const all = new Map<string, Work<T>>();

  function begin(key: string): Work<T> {
    const { signal, abort } = linkSignals();
    const begun = { result: work(key, signal), abort, waiting: 0 };
    const end = () => {
      if (all.get(key) === begun) all.delete(key);
    };
    begun.result.then(end, end);
    all.set(key, begun);
    return begun;
  }

  return async (key, signal) => {
    signal.throwIfAborted();
    const joined = all.get(key) ?? begin(key);
    joined.waiting++;
    try {
      return await abortable(joined.result, signal);
    } finally {
      if (--joined.waiting === 0) {
        // Whoever comes now begins anew: this one is given up.
        if (all.get(key) === joined) all.delete(key);
        joined.abort(signal.reason);
      }
    }
  };
}
