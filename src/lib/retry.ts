/** Trying again, a bounded number of times, with a growing pause in between. */
import { delay } from "./signal.js";

export interface RetryOptions {
  readonly attemptsMax: number;
  /** Pause after the first failure; doubles after each further one. */
  readonly delayMs: number;
  readonly delayMaxMs: number;
  /** False throws the failure at once. */
  readonly mayRetry: (thrown: unknown) => boolean;
}

/** Throws the last failure when all attempts failed, or the signal's reason. */
export async function retry<T>(
  attempt: (number: number) => Promise<T>,
  { attemptsMax, delayMs, delayMaxMs, mayRetry }: RetryOptions,
  signal?: AbortSignal,
): Promise<T> {
  for (let number = 1; ; number++) {
    signal?.throwIfAborted();
    try {
      return await attempt(number);
    } catch (thrown) {
      if (number >= attemptsMax || !mayRetry(thrown)) throw thrown;
    }
    await delay(Math.min(delayMs * 2 ** (number - 1), delayMaxMs), signal);
  }
}
