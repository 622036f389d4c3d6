/** The serving half of grpc.ts: plain async functions as the implementation of a service descriptor. */
import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import {
  status as GrpcStatus,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  type MethodDefinition,
  Server,
  type ServerCredentials,
  type ServerDuplexStream,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type StatusObject,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { type Address, formatAddress } from "./address.js";
import { DomainError } from "./errors.js";
import { messageBytesMax } from "./grpc.js";
import { type Codec, codecOf } from "./grpc-codec.js";

export interface HandlerContext {
  /** Aborted when the client cancels, goes away, or its deadline passes. */
  readonly signal: AbortSignal;
  readonly metadata: Metadata;
  /** Where the client calls from, for messages. */
  readonly peer: string;
  /** DER of the client's certificate, where the server asks for one and the client has one of its authority. */
  readonly peerCertificate: () => Buffer | undefined;
}

type HandlerOf<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, context: HandlerContext) => Promise<MessageInitShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, context: HandlerContext) => AsyncIterable<MessageInitShape<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, context: HandlerContext) => Promise<MessageInitShape<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (
              requests: AsyncIterable<MessageShape<I>>,
              context: HandlerContext,
            ) => AsyncIterable<MessageInitShape<O>>
          : never;

/** One handler for each method of the service; leaving one out does not compile. */
export type Handlers<S extends DescService> = {
  readonly [K in keyof S["method"]]: HandlerOf<S["method"][K]>;
};

/** Says with which gRPC status a thrown value goes over the wire. */
export type ToStatus = (error: unknown, method: string) => Partial<StatusObject>;

/** What `server.addService(definition, implementation)` takes. */
export interface ServiceParts {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

export interface ServerOptions {
  /** Asked before each call, with the caller's certificate (DER) if it has one: the status with which it ends, if any. */
  readonly refuse?: (peerCertificate: Buffer | undefined) => Partial<StatusObject> | undefined;
  /** While calls are in flight: how often the other end is asked for a sign of life, and how long it has for that. */
  readonly keepAliveMs?: number;
}

/** A server with the same message bounds as the clients of grpc.ts. */
export function createServer({ refuse, keepAliveMs }: ServerOptions = {}): Server {
  return new Server({
    // Its counts of calls nobody reads, but without channelz forceShutdown() knows no connections (grpc-js 1.14).
    "grpc.max_receive_message_length": messageBytesMax,
    "grpc.max_send_message_length": messageBytesMax,
    ...(keepAliveMs === undefined
      ? {}
      : { "grpc.keepalive_time_ms": keepAliveMs, "grpc.keepalive_timeout_ms": keepAliveMs }),
    ...(refuse === undefined ? {} : { interceptors: [refusing(refuse)] }),
  });
}

function refusing(refuse: NonNullable<ServerOptions["refuse"]>): ServerInterceptor {
  return (_method, call) => {
    const status = refuse(call.getAuthContext().sslPeerCertificate?.raw);
    if (status === undefined) return new ServerInterceptingCall(call);
    const refused = { code: GrpcStatus.PERMISSION_DENIED, details: "", ...status };
    return new ServerInterceptingCall(call, { start: () => call.sendStatus(refused) });
  };
}

/** Forcing is also what ends a graceful shutdown whose client never lets go. */
export function shutDown(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}

/** Gives the port, which is another than 0 where 0 was asked for. Throws `failed_precondition`. */
export function listen(server: Server, address: Address, credentials: ServerCredentials): Promise<number> {
  const at = formatAddress(address);
  return new Promise((resolve, reject) => {
    server.bindAsync(at, credentials, (cause, port) => {
      if (cause === null) resolve(port);
      else
        reject(
          new DomainError("failed_precondition", `cannot listen on ${at}: ${cause.message}`, {
            cause,
            hint: "see that the address is this machine's, and that nothing else listens there",
          }),
        );
    });
  });
}

/** Makes a grpc-js service out of handlers. Nothing that a handler throws escapes `toStatus`. */
export function implementService<S extends DescService>(
  service: S,
  handlers: Handlers<S>,
  toStatus: ToStatus,
): ServiceParts {
  const definition: Record<string, MethodDefinition<object, object>> = {};
  const implementation: Record<string, UntypedHandleCall> = {};
  for (const method of service.methods) {
    const codec = codecOf(method);
    definition[method.localName] = methodDefinition(method, codec);
    const handler: unknown = handlers[method.localName as keyof Handlers<S>];
    implementation[method.localName] = serve(method, handler, (error) => toStatus(error, codec.name));
  }
  return { definition, implementation };
}

function methodDefinition(method: DescMethod, codec: Codec): MethodDefinition<object, object> {
  return {
    path: codec.path,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: codec.input.encode,
    requestDeserialize: codec.input.decode,
    responseSerialize: codec.output.encode,
    responseDeserialize: codec.output.decode,
  };
}

type MapError = (error: unknown) => Partial<StatusObject>;
type ToOne = (input: unknown, context: HandlerContext) => Promise<object>;
type ToMany = (input: unknown, context: HandlerContext) => AsyncIterable<object>;

function serve(method: DescMethod, handler: unknown, mapError: MapError): UntypedHandleCall {
  switch (method.methodKind) {
    case "unary": {
      const call: handleUnaryCall<object, object> = (it, done) =>
        answerOnce(it, it.request, handler as ToOne).then(
          (response) => done(null, response),
          (error: unknown) => done(mapError(error)),
        );
      return call;
    }
    case "client_streaming": {
      const call: handleClientStreamingCall<object, object> = (it, done) =>
        answerOnce(it, requestsOf(it), handler as ToOne).then(
          (response) => done(null, response),
          (error: unknown) => done(mapError(error)),
        );
      return call;
    }
    case "server_streaming": {
      const call: handleServerStreamingCall<object, object> = (it) =>
        void answerMany(it, it.request, handler as ToMany, mapError);
      return call;
    }
    case "bidi_streaming": {
      const call: handleBidiStreamingCall<object, object> = (it) =>
        void answerMany(it, requestsOf(it), handler as ToMany, mapError);
      return call;
    }
  }
}

type OneCall = ServerUnaryCall<object, object> | ServerReadableStream<object, object>;
type ManyCall = ServerWritableStream<object, object> | ServerDuplexStream<object, object>;

type ServerCall = Pick<
  ServerUnaryCall<object, object>,
  "cancelled" | "metadata" | "getAuthContext" | "getPeer"
> & {
  once(event: "cancelled", listener: () => void): unknown;
};

/** A stream's end counts as its cancellation: nobody hears of it any more once `isAnswered`. */
interface Context extends HandlerContext {
  isAnswered: boolean;
}

function contextOf(call: ServerCall): Context {
  const controller = new AbortController();
  call.once("cancelled", () => {
    if (!context.isAnswered) controller.abort();
  });
  if (call.cancelled) controller.abort();
  const context: Context = {
    signal: controller.signal,
    metadata: call.metadata,
    peer: call.getPeer(),
    // Asked for where it is needed: reading it takes longer than many a call.
    peerCertificate: () => call.getAuthContext().sslPeerCertificate?.raw,
    isAnswered: false,
  };
  return context;
}

async function answerOnce(call: OneCall, input: unknown, handler: ToOne): Promise<object> {
  const context = contextOf(call);
  const answer = await handler(input, context);
  context.isAnswered = true;
  return answer;
}

async function answerMany(
  call: ManyCall,
  input: unknown,
  handler: ToMany,
  mapError: MapError,
): Promise<void> {
  const context = contextOf(call);
  // A client that goes away makes the stream fail; the signal tells the handler.
  call.on("error", () => {});
  try {
    for await (const message of handler(input, context)) {
      if (context.signal.aborted) return;
      if (!call.write(message)) await drainedOrAborted(call, context.signal);
    }
    call.end();
  } catch (error) {
    call.emit("error", mapError(error));
  }
}

function drainedOrAborted(call: ManyCall, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const finish = () => {
      call.off("drain", finish);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    call.once("drain", finish);
    signal.addEventListener("abort", finish, { once: true });
  });
}

/** Requests end quietly when the client cancels: the signal carries that news. */
async function* requestsOf(
  call: ServerReadableStream<object, object> | ServerDuplexStream<object, object>,
): AsyncGenerator<object> {
  try {
    // The iterator of a duplex stream would by default destroy its answering half as well.
    for await (const message of call.iterator({ destroyOnReturn: false })) yield message as object;
  } catch (error) {
    if (!call.cancelled) throw error;
  }
}
