import { abortable } from "./signal.js";

/**
 * The same items, but a wait for the next one ends with the signal's reason when it aborts. The source is told
 * to return and not waited for: it may be waiting for something that never comes.
 */
export async function* interruptible<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let isDone = false;
  try {
    for (;;) {
      const next = await abortable(iterator.next(), signal);
      isDone = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    if (!isDone) Promise.resolve(iterator.return?.()).catch(() => {});
  }
}
