/**
 * The client of a service whose handlers are in this process: as over a wire, but without one. Messages are made and
 * passed as they are; aborts and deadlines reach the handler and end the call at once; a stream that is left ends there.
 */
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { DomainError } from "./errors.js";
import type { CallOptions, Client } from "./grpc.js";
import type { HandlerContext, Handlers } from "./grpc-server.js";
import { interruptible } from "./interruptible.js";
import { abortable, linkSignals } from "./signal.js";

export interface LocalClientOptions {
  /** Default bound of unary calls; streams have none unless the call names one. */
  readonly timeoutMs: number;
  /** Turns what a handler has thrown into the caller's error. `method` is `package.Service/Method`. */
  readonly toError: (thrown: unknown, method: string) => Error;
  /** Asked before each call: the error with which it fails at once. */
  readonly refuse?: () => Error | undefined;
  /** Ends all calls with its reason. */
  readonly closed: AbortSignal;
}

type Messages = AsyncIterable<object>;
type ToOne = (input: unknown, context: HandlerContext) => Promise<object>;
type ToMany = (input: unknown, context: HandlerContext) => Messages;

export function createLocalClient<S extends DescService>(
  service: S,
  handlers: Handlers<S>,
  options: LocalClientOptions,
): Client<S> {
  const calls = service.methods.map((method) => {
    const handler: unknown = handlers[method.localName as keyof Handlers<S>];
    return [method.localName, callFunction(method, handler, options)];
  });
  return Object.fromEntries(calls) as Client<S>;
}

function callFunction(method: DescMethod, handler: unknown, defaults: LocalClientOptions): unknown {
  const start = { method, defaults };
  const one = (input: unknown) => made(method.input, input as object);
  const many = (input: unknown) => each(method.input, input as Messages);
  switch (method.methodKind) {
    case "unary":
      return (input: unknown, options: CallOptions = {}) =>
        answered(start, () => one(input), handler as ToOne, {
          timeoutMs: defaults.timeoutMs,
          ...options,
        });
    case "client_streaming":
      return (input: unknown, options: CallOptions = {}) =>
        answered(start, () => many(input), handler as ToOne, options);
    case "server_streaming":
      return (input: unknown, options: CallOptions = {}) =>
        followed(start, () => one(input), handler as ToMany, options);
    case "bidi_streaming":
      return (input: unknown, options: CallOptions = {}) =>
        followed(start, () => many(input), handler as ToMany, options);
  }
}

interface Start {
  readonly method: DescMethod;
  readonly defaults: LocalClientOptions;
}

async function answered(
  start: Start,
  input: () => unknown,
  handler: ToOne,
  options: CallOptions,
): Promise<object> {
  using call = begin(start, options);
  try {
    const answer = await abortable(handler(input(), call.context), call.context.signal);
    return made(start.method.output, answer);
  } catch (thrown) {
    throw call.failure(thrown);
  }
}

async function* followed(
  start: Start,
  input: () => unknown,
  handler: ToMany,
  options: CallOptions,
): AsyncGenerator<object> {
  using call = begin(start, options);
  try {
    const messages = interruptible(handler(input(), call.context), call.context.signal);
    for await (const message of messages) yield made(start.method.output, message);
  } catch (thrown) {
    throw call.failure(thrown);
  }
}

interface Call extends Disposable {
  readonly context: HandlerContext;
  /** What the caller is told: the reason of an abort says more than what it made the handler throw. */
  failure(thrown: unknown): Error;
}

function begin({ method, defaults }: Start, { signal, timeoutMs = 0, metadata = {} }: CallOptions): Call {
  const name = `${method.parent.typeName}/${method.name}`;
  const refusal = defaults.refuse?.();
  if (refusal !== undefined) throw refusal;
  const linked = linkSignals(...[defaults.closed, signal].filter((one) => one !== undefined));
  if (linked.signal.aborted) throw reasonOf(linked.signal, name);
  const late = () =>
    linked.abort(new DomainError("deadline_exceeded", `${name}: not done within ${timeoutMs / 1000} s`));
  const timer = timeoutMs === 0 ? undefined : setTimeout(late, timeoutMs);
  return {
    context: {
      signal: linked.signal,
      metadata: metadataOf(metadata),
      peer: "",
      peerCertificate: () => undefined,
    },
    failure: (thrown) =>
      linked.signal.aborted ? reasonOf(linked.signal, name) : defaults.toError(thrown, name),
    [Symbol.dispose]() {
      clearTimeout(timer);
      linked[Symbol.dispose]();
      // Whatever still goes on for it has nobody who waits; a call that was answered has nothing that goes on.
      if (method.methodKind !== "unary")
        linked.abort(new DomainError("cancelled", `${name}: the call is over`));
    },
  };
}

function metadataOf(pairs: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(pairs)) metadata.set(key, value);
  return metadata;
}

function reasonOf({ reason }: AbortSignal, name: string): DomainError {
  if (reason instanceof DomainError) return reason;
  if (reason instanceof Error && reason.name === "TimeoutError")
    return new DomainError("deadline_exceeded", `${name}: timed out`, { cause: reason });
  return new DomainError("cancelled", `${name}: cancelled`, { cause: reason });
}

/** The typed call signatures have checked the shape already. */
const made = (schema: DescMessage, init: object): object =>
  create(schema, init as MessageInitShape<typeof schema>);

async function* each(schema: DescMessage, messages: Messages): AsyncGenerator<object> {
  for await (const message of messages) yield made(schema, message);
}
