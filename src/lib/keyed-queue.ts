/** One queue for each key: tasks of one key run one after another, tasks of different keys side by side. */
import { DomainError } from "./errors.js";
import { abortable } from "./signal.js";

export interface KeyedQueue {
  /**
   * Runs `task` after all earlier ones of `key`. Aborting while it waits takes it out of the queue; once it
   * runs, it is the task that heeds the signal. Throws `resource_exhausted` when `waitingMax` wait already.
   */
  run<T>(key: string, task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Tasks of `key` that run or wait. */
  length(key: string): number;
}

interface Line {
  tail: Promise<void>;
  length: number;
}

export function createKeyedQueue({ waitingMax }: { readonly waitingMax: number }): KeyedQueue {
  const lines = new Map<string, Line>();

  async function run<T>(key: string, task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const line = lines.get(key) ?? { tail: Promise.resolve(), length: 0 };
    if (line.length > waitingMax) {
      throw new DomainError("resource_exhausted", `${key}: ${waitingMax} operations wait already`, {
        hint: "try again when some of them are done",
      });
    }
    const turn = line.tail;
    const { promise: done, resolve: leave } = withResolver();
    // One that gives up while waiting must not let its successor overtake its predecessor.
    line.tail = turn.then(() => done);
    line.length++;
    lines.set(key, line);
    try {
      await (signal === undefined ? turn : abortable(turn, signal));
      return await task();
    } finally {
      leave();
      if (--line.length === 0) lines.delete(key);
    }
  }

  return { run, length: (key) => lines.get(key)?.length ?? 0 };
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((r) => {
    resolve = r;
  });
  return { promise, resolve };
}
