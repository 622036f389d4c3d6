/** One call passed on to a node, whatever it carries: messages both ways, aborts, deadlines and errors as they come. */
import type { DescMethod } from "@bufbuild/protobuf";
import { DomainError } from "../lib/errors.js";
import type { CallOptions } from "../lib/grpc.js";
import type { HandlerContext } from "../lib/grpc-server.js";

/** A method of a node's client, of whichever kind its descriptor says. */
export type Passed = (input: unknown, options: CallOptions) => unknown;
/** Chooses the node by the first message; whoever may not call throws here. */
export type Choose = (message: object, context: HandlerContext) => Promise<Passed>;

type Messages = AsyncIterable<object>;

/**
 * The handler for a method. The client's deadline and its going away abort the signal, and with it the node's call: that
 * has no bound of its own.
 */
export function forwarder({ methodKind, name }: DescMethod, choose: Choose): unknown {
  const optionsOf = ({ signal }: HandlerContext): CallOptions => ({ signal, timeoutMs: 0 });
  switch (methodKind) {
    case "unary":
      return async (message: object, context: HandlerContext) =>
        await (await choose(message, context))(message, optionsOf(context));
    case "server_streaming":
      return async function* (message: object, context: HandlerContext) {
        yield* (await choose(message, context))(message, optionsOf(context)) as Messages;
      };
    case "client_streaming":
      return async (messages: Messages, context: HandlerContext) => {
        const { first, all } = await open(messages, name);
        return await (await choose(first, context))(all, optionsOf(context));
      };
    case "bidi_streaming":
      return async function* (messages: Messages, context: HandlerContext) {
        const { first, all } = await open(messages, name);
        yield* (await choose(first, context))(all, optionsOf(context)) as Messages;
      };
  }
}

/** The first message says where all of them go. */
async function open(messages: Messages, name: string): Promise<{ first: object; all: Messages }> {
  const rest = messages[Symbol.asyncIterator]();
  const { done, value: first } = await rest.next();
  if (done === true)
    throw new DomainError("invalid_argument", `the stream of ${name} ended before its first message`);
  async function* all(): AsyncGenerator<object> {
    yield first;
    yield* { [Symbol.asyncIterator]: () => rest };
  }
  return { first, all: all() };
}

/** What a message calls a field: its own, or that of the one message in it. Empty when it has none. */
export function nameIn(message: object, field: "sandbox" | "name"): string {
  const own: unknown = Reflect.get(message, field);
  if (typeof own === "string") return own;
  const { value } = (Reflect.get(message, "message") ?? {}) as { readonly value?: unknown };
  const inner: unknown = typeof value === "object" && value !== null ? Reflect.get(value, field) : undefined;
  return typeof inner === "string" ? inner : "";
}
