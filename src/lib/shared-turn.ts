/** Work that serves everybody who has asked before it begins, as a wait for the disk does. */

/**
 * Gives a function whose promise settles with the first turn of `work` that began after the call. One turn at a time;
 * those that ask during one share the next.
 */
export function shareTurns(work: () => Promise<void>): () => Promise<void> {
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<void> | undefined;
  return () => {
    next ??= last.then(() => {
      next = undefined;
      const turn = work();
      last = turn.catch(() => {});
      return turn;
    });
    return next;
  };
}
