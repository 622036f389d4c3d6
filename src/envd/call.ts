/** Handlers of the two services: what each is told, and what its failures become. */
import { ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { isDomainError } from "../lib/errors.js";
import type { EnvdCall } from "./deps.js";
import { toConnectError } from "./failure.js";

const nobody: EnvdCall = { sandbox: "", user: undefined, keepaliveMs: 90_000, cut: async () => {} };
/** Set for each request before its handler is called. */
export const callKey = createContextKey<EnvdCall>(nobody);

/** A handler of a call with one answer. */
export function answering<I, O>(work: (request: I, call: EnvdCall, signal: AbortSignal) => Promise<O>) {
  return async (request: I, context: HandlerContext): Promise<O> => {
    try {
      return await work(request, context.values.get(callKey), context.signal);
    } catch (thrown) {
      throw reasonOf(thrown, context.signal);
    }
  };
}

/**
 * A handler of a call with many answers. When the sandbox goes away in the middle, the connection is cut: to clients
 * an orderly end means something else.
 */
export function streaming<I, O>(work: (request: I, call: EnvdCall, signal: AbortSignal) => AsyncIterable<O>) {
  return async function* (request: I, context: HandlerContext): AsyncGenerator<O> {
    const call = context.values.get(callKey);
    let hasBegun = false;
    try {
      for await (const answer of work(request, call, context.signal)) {
        hasBegun = true;
        yield answer;
      }
    } catch (thrown) {
      if (hasBegun && !context.signal.aborted && isDomainError(thrown, "unavailable")) await call.cut();
      throw reasonOf(thrown, context.signal);
    }
  };
}

/** Whatever an aborted call threw, the reason for the abort says more. */
function reasonOf(thrown: unknown, signal: AbortSignal): ConnectError {
  return toConnectError(signal.aborted && signal.reason instanceof ConnectError ? signal.reason : thrown);
}
