/** The agent's API for a registry of the same process: the calls of the socket, without their way through it. */
import { DomainError, toDomainError } from "../lib/errors.js";
import type { ApiLog } from "../lib/grpc-status.js";
import { linkSignals } from "../lib/signal.js";
import type { Node } from "../node/node.js";
import { localServices } from "./services.js";

export interface LocalApiOptions {
  /** Of unary calls that name no bound of their own. */
  readonly timeoutMs: number;
  /** The error with which a call fails at once. */
  readonly refuse: () => DomainError | undefined;
}

/** Calls throw DomainError. Disposing ends those that are under way. */
export function openLocalApi(node: Node, log: ApiLog, { timeoutMs, refuse }: LocalApiOptions) {
  // Each call that is under way listens to it.
  const stopping = linkSignals();
  const closing = stopping.signal;
  const toError = (thrown: unknown, method: string) => {
    const err = toDomainError(thrown, method);
    if (err.code === "internal") log.error({ err, method }, "call failed");
    return err;
  };
  return {
    api: localServices({ node, closing }, { timeoutMs, toError, refuse, closed: closing }),
    [Symbol.dispose]: () => stopping.abort(new DomainError("unavailable", "the registry is stopping")),
  };
}
