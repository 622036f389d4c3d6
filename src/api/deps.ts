/** What the handlers of this folder are made of. */
import { DomainError } from "../lib/errors.js";
import type { Node } from "../node/node.js";

export interface ApiDeps {
  readonly node: Node;
  /** Aborted as soon as the server begins to stop: streams that have no end of their own end then. */
  readonly closing: AbortSignal;
}

/**
 * Runs a stream that only follows something (events, logs, a process) until the server stops; it then ends
 * with `unavailable`, so that clients tell a stopping agent from the end of what they follow.
 */
export async function* untilClosing<T>(
  { closing }: Pick<ApiDeps, "closing">,
  signal: AbortSignal,
  open: (signal: AbortSignal) => AsyncIterable<T>,
): AsyncGenerator<T> {
  try {
    yield* open(AbortSignal.any([signal, closing]));
  } catch (error) {
    if (!closing.aborted || signal.aborted) throw error;
    throw new DomainError("unavailable", "the agent is stopping", {
      cause: error,
      hint: "processes go on in their sandboxes; attach again once the agent is back",
    });
  }
}
