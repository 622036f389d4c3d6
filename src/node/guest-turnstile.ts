/** Who may talk to a guest at the moment, and who is inside: the state behind a gate. */
import { createBell } from "../lib/bell.js";
import type { DomainError } from "../lib/errors.js";
import { withDeadline } from "../lib/signal.js";

//  open ─▶ closing ─▶ closed ─▶ reopening ─▶ open        any ─▶ ended(reason)
export type TurnstileState =
  | { readonly kind: "open" | "closing" | "closed" | "reopening" }
  | { readonly kind: "ended"; readonly reason: DomainError };

export interface Turnstile {
  state(): TurnstileState;
  /** Throws the reason when it has ended. */
  become(state: TurnstileState): void;
  /**
   * Waits until one may come in: when it is open, or, for who was inside before, reopening. The place is taken in
   * the same step, so that closing never misses one that has just come through.
   */
  enter(isAgain: boolean, abort: (reason: unknown) => void, signal: AbortSignal): Promise<Place>;
  /** Number of those inside. */
  inside(): number;
  abortInside(reason: DomainError): void;
  /** Something outside changed that a `becomes` may wait for. */
  ring(): void;
  /** Waits for a condition over this state or what rings; false if it does not come true in time. */
  becomes(condition: () => boolean, withinMs: number, signal: AbortSignal): Promise<boolean>;
}

export interface Place {
  leave(): void;
}

export function createTurnstile(): Turnstile {
  const changed = createBell();
  const inside = new Set<{ abort(reason: unknown): void }>();
  let state: TurnstileState = { kind: "open" };

  return {
    state: () => state,
    become(next) {
      if (state.kind === "ended") throw state.reason;
      state = next;
      changed.ring();
    },
    async enter(isAgain, abort, signal) {
      while (state.kind !== "open" && !(isAgain && state.kind === "reopening")) {
        if (state.kind === "ended") throw state.reason;
        await changed.rung(signal);
      }
      signal.throwIfAborted();
      const mine = { abort };
      inside.add(mine);
      return {
        leave() {
          inside.delete(mine);
          changed.ring();
        },
      };
    },
    inside: () => inside.size,
    abortInside(reason) {
      for (const one of [...inside]) one.abort(reason);
    },
    ring: changed.ring,
    async becomes(condition, withinMs, signal) {
      const poll = async (linked: AbortSignal) => {
        while (!condition()) await changed.rung(linked);
      };
      await withDeadline("waiting", withinMs, poll, signal).catch((thrown: unknown) => {
        if (signal.aborted) throw thrown;
      });
      return condition();
    },
  };
}
