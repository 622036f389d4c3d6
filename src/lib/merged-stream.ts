/** A stream fed by work that goes on beside its reader. */
import { linkSignals } from "./signal.js";

export interface MergedStream<T> {
  /** Aborts when the reader leaves or the parent aborts: the feeding work should then stop. */
  readonly signal: AbortSignal;
  /** Never waits: the feeder bounds what it makes. */
  push(item: T): void;
  /** Yields what was pushed until `work` has settled and all is read; throws what `work` throws. */
  until(work: Promise<unknown>): AsyncGenerator<T>;
  /** The reader leaves. */
  end(): void;
  /** What was pushed and never read. */
  unread(): readonly T[];
}

export function openMergedStream<T>(parent: AbortSignal): MergedStream<T> {
  const linked = linkSignals(parent);
  const items: T[] = [];
  let wake = () => {};
  const push = (item: T) => {
    items.push(item);
    wake();
  };

  async function* until(work: Promise<unknown>): AsyncGenerator<T> {
    let settled = false;
    const done = work.finally(() => {
      settled = true;
      wake();
    });
    done.catch(() => {});
    for (;;) {
      for (const item of taken(items)) yield item;
      if (settled) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    await done;
  }

  return {
    signal: linked.signal,
    push,
    until,
    end() {
      linked.abort(new DOMException("the reader left", "AbortError"));
      linked[Symbol.dispose]();
    },
    unread: () => items,
  };
}

/** One by one: of those that are there, a reader may leave some. */
function* taken<T>(items: T[]): Generator<T> {
  while (items.length > 0) yield* items.splice(0, 1);
}
