/**
 * One operation at a time for one sandbox. A deletion does not wait for what it makes pointless: it interrupts that,
 * and takes the next turn.
 */
import type { DomainError } from "../lib/errors.js";
import { createKeyedQueue } from "../lib/keyed-queue.js";
import { type LinkedSignal, linkSignals } from "../lib/signal.js";

/** Operations that may wait for one sandbox; more are refused. */
const waitingMax = 100;

export interface Turns {
  /** `task` gets a signal that aborts with `signal`, and when it is interrupted. */
  run<T>(id: string, task: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Aborts what runs and waits for the sandbox now. */
  interrupt(id: string, reason: DomainError): void;
}

export function createTurns(): Turns {
  const queue = createKeyedQueue({ waitingMax });
  const active = new Map<string, Set<LinkedSignal>>();
  return {
    async run(id, task, signal) {
      using linked = signal === undefined ? linkSignals() : linkSignals(signal);
      const others = active.get(id) ?? new Set();
      active.set(id, others.add(linked));
      try {
        return await queue.run(id, () => task(linked.signal), linked.signal);
      } finally {
        others.delete(linked);
        if (others.size === 0) active.delete(id);
      }
    },
    interrupt(id, reason) {
      for (const linked of active.get(id) ?? []) linked.abort(reason);
    },
  };
}
