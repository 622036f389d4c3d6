/** Work that is done again and again, one round after the other. */
import { toDomainError } from "../lib/errors.js";
import type { Logger } from "../lib/log.js";
import { delay } from "../lib/signal.js";

export interface Ticker extends AsyncDisposable {
  /** A round that fails is logged, and does not keep the next one from coming. */
  every(ms: number, what: string, round: (signal: AbortSignal) => Promise<void>): void;
}

export function createTicker(log: Pick<Logger, "error">): Ticker {
  const stopping = new AbortController();
  const loops: Promise<void>[] = [];

  async function repeat(
    ms: number,
    what: string,
    round: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await delay(ms, stopping.signal);
        await round(stopping.signal);
      } catch (thrown) {
        if (!stopping.signal.aborted)
          log.error({ err: toDomainError(thrown), what }, "a round of work failed");
      }
    }
  }

  return {
    every: (ms, what, round) => void loops.push(repeat(ms, what, round)),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}
