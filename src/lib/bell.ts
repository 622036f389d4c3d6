/** Waiting for a change of something that others change: whoever changes it rings, all that wait look again. */
export interface Bell {
  ring(): void;
  /** Resolves at the next ring; rejects with the signal's reason. What is waited for has to be checked again. */
  rung(signal?: AbortSignal): Promise<void>;
}

export function createBell(): Bell {
  const waiting = new Set<() => void>();
  return {
    ring() {
      const woken = [...waiting];
      waiting.clear();
      for (const wake of woken) wake();
    },
    rung: (signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason);
          return;
        }
        const onAbort = () => {
          waiting.delete(wake);
          reject(signal?.reason);
        };
        const wake = () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        };
        waiting.add(wake);
        signal?.addEventListener("abort", onAbort, { once: true });
      }),
  };
}
