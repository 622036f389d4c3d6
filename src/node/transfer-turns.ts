/**
 * Turns of what carries contents of files. Each takes one of the 16 helpers that a guest has (docs/guest-protocol.md,
 * "Limits") for as long as its client takes its time: others who ask for files are to find one free, and a dump nobody
 * who still waits for one.
 */
import { createLimiter, type Limiter } from "../lib/limit.js";

/** In one sandbox at once. */
export const transfersMax = 12;

export interface TransferTurns {
  /** Waits for a turn; the function given back ends it, and may be called again. */
  take(sandbox: string, signal: AbortSignal): Promise<() => void>;
}

export function openTransferTurns(): TransferTurns {
  const lines = new Map<string, { readonly limiter: Limiter; users: number }>();

  function join(sandbox: string) {
    const line = lines.get(sandbox) ?? { limiter: createLimiter(transfersMax), users: 0 };
    lines.set(sandbox, line);
    line.users++;
    return line;
  }

  return {
    take(sandbox, signal) {
      const line = join(sandbox);
      return new Promise((resolve, reject) => {
        const hold = () => new Promise<void>((release) => resolve(release));
        line.limiter
          .run(hold, signal)
          .catch(reject)
          .finally(() => {
            if (--line.users === 0) lines.delete(sandbox);
          });
      });
    },
  };
}
