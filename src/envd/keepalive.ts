/** Signs of life in a stream that is silent. */

export const silence: unique symbol = Symbol("silence");

/** The same items, and `silence` after each `everyMs` without one. */
export async function* withSilence<T>(
  source: AsyncIterable<T>,
  everyMs: number,
): AsyncGenerator<T | typeof silence> {
  const iterator = source[Symbol.asyncIterator]();
  let isDone = false;
  try {
    for (;;) {
      const next = iterator.next();
      // It is awaited below, unless the reader leaves before.
      next.catch(() => {});
      while (!(await settlesWithin(next, everyMs))) yield silence;
      const result = await next;
      isDone = result.done === true;
      if (result.done === true) return;
      yield result.value;
    }
  } catch (thrown) {
    isDone = true;
    throw thrown;
  } finally {
    // What it waits for may never come.
    if (!isDone) Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    const settled = () => {
      clearTimeout(timer);
      resolve(true);
    };
    promise.then(settled, settled);
  });
}
