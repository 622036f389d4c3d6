/**
 * Typed gRPC calls: service descriptors of @bufbuild/protobuf carried by @grpc/grpc-js.
 * The serving half is in grpc-server.ts.
 */
import type { Readable } from "node:stream";
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
  type ChannelCredentials,
  type ChannelOptions,
  credentials,
  type CallOptions as GrpcCallOptions,
  Client as GrpcClient,
  Metadata,
} from "@grpc/grpc-js";
import { DomainError } from "./errors.js";
import { type Codec, codecOf } from "./grpc-codec.js";
import { sendAll } from "./grpc-send.js";

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bound of the whole call, streams included; 0 means none. Default: the client's. */
  readonly timeoutMs?: number | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

export interface ClientOptions {
  /** Default bound of unary calls; streams have none unless the call names one. */
  readonly timeoutMs: number;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Turns what grpc-js reports into the caller's error. `method` is `package.Service/Method`. */
  readonly toError: (error: unknown, method: string) => Error;
  /** Asked before each call: the error with which it fails at once, e.g. because the other end is known to be gone. */
  readonly refuse?: () => Error | undefined;
}

type CallOf<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageInitShape<I>>, options?: CallOptions) => Promise<MessageShape<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (
              requests: AsyncIterable<MessageInitShape<I>>,
              options?: CallOptions,
            ) => AsyncIterable<MessageShape<O>>
          : never;

/** One function for each method of the service, named as in the generated descriptor (lower camel case). */
export type Client<S extends DescService> = { readonly [K in keyof S["method"]]: CallOf<S["method"][K]> };

/** Largest message either side takes; containerd's own default. */
export const messageBytesMax = 16 * 1024 * 1024;

const channelDefaults: ChannelOptions = {
  // Counts of every call and connection that nobody reads.
  "grpc.enable_channelz": 0,
  "grpc.max_receive_message_length": messageBytesMax,
  "grpc.max_send_message_length": messageBytesMax,
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.min_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 1000,
  // A private connection pool for each channel, so that closing one never cuts another's calls.
  "grpc.use_local_subchannel_pool": 1,
};

/** Opens a channel, e.g. to `unix:///run/ramet/agent.sock`; it connects at the first call and reconnects by itself. */
export function openChannel(
  address: string,
  channelCredentials: ChannelCredentials = credentials.createInsecure(),
  { keepAliveMs, serverName }: ChannelSettings = {},
): GrpcClient {
  const keepAlive: ChannelOptions =
    keepAliveMs === undefined
      ? {}
      : { "grpc.keepalive_time_ms": keepAliveMs, "grpc.keepalive_timeout_ms": keepAliveMs };
  const name: ChannelOptions =
    serverName === undefined ? {} : { "grpc.ssl_target_name_override": serverName };
  return new GrpcClient(address, channelCredentials, { ...channelDefaults, ...keepAlive, ...name });
}

export interface ChannelSettings {
  /** While calls are in flight: how often the other end is asked for a sign of life, and how long it has for that. */
  readonly keepAliveMs?: number;
  /** What TLS asks for, where it is not the host: an IP address is no name to ask for (RFC 6066). */
  readonly serverName?: string;
}

/** Gives the service's methods as functions over an open channel. Closing the channel is the caller's part. */
export function createClient<S extends DescService>(
  service: S,
  channel: GrpcClient,
  options: ClientOptions,
): Client<S> {
  const calls = Object.fromEntries(
    service.methods.map((method) => [method.localName, callFunction(channel, method, options)]),
  );
  return calls as Client<S>;
}

function callFunction(channel: GrpcClient, method: DescMethod, defaults: ClientOptions): unknown {
  const codec = codecOf(method);
  const start = { channel, codec, defaults };
  switch (method.methodKind) {
    case "unary":
      return (request: object, options: CallOptions = {}) => unary(start, request, options);
    case "server_streaming":
      return (request: object, options: CallOptions = {}) => serverStream(start, request, options);
    case "client_streaming":
      return (requests: AsyncIterable<object>, options: CallOptions = {}) =>
        clientStream(start, requests, options);
    case "bidi_streaming":
      return (requests: AsyncIterable<object>, options: CallOptions = {}) =>
        bidiStream(start, requests, options);
  }
}

interface CallStart {
  readonly channel: GrpcClient;
  readonly codec: Codec;
  readonly defaults: ClientOptions;
}

interface Cancellable {
  cancel(): void;
}

function metadataOf(defaults: ClientOptions, options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries({ ...defaults.metadata, ...options.metadata }))
    metadata.set(key, value);
  return metadata;
}

function grpcOptions(timeoutMs: number | undefined): GrpcCallOptions {
  return timeoutMs === undefined || timeoutMs === 0 ? {} : { deadline: Date.now() + timeoutMs };
}

/** The caller's own abort wins over the status that cancelling made. */
function failure(error: unknown, { codec, defaults }: CallStart, signal: AbortSignal | undefined): Error {
  if (signal?.aborted) return abortError(signal, codec.name);
  return defaults.toError(error, codec.name);
}

function abortError(signal: AbortSignal, what: string): DomainError {
  const reason: unknown = signal.reason;
  if (reason instanceof DomainError) return reason;
  if (reason instanceof Error && reason.name === "TimeoutError")
    return new DomainError("deadline_exceeded", `${what}: timed out`, { cause: reason });
  return new DomainError("cancelled", `${what}: cancelled`, { cause: reason });
}

function refuseEarly({ codec, defaults }: CallStart, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal, codec.name);
  const refusal = defaults.refuse?.();
  if (refusal !== undefined) throw refusal;
}

function cancelOnAbort(call: Cancellable, signal: AbortSignal | undefined): () => void {
  if (signal === undefined) return () => {};
  const cancel = () => call.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  return () => signal.removeEventListener("abort", cancel);
}

async function unary(start: CallStart, request: object, options: CallOptions): Promise<object> {
  refuseEarly(start, options.signal);
  const { channel, codec, defaults } = start;
  return await new Promise<object>((resolve, reject) => {
    let release = () => {};
    const call = channel.makeUnaryRequest(
      codec.path,
      codec.input.encode,
      codec.output.decode,
      request,
      metadataOf(defaults, options),
      grpcOptions(options.timeoutMs ?? defaults.timeoutMs),
      (error, response) => {
        release();
        if (error === null && response !== undefined) resolve(response);
        else reject(failure(error, start, options.signal));
      },
    );
    release = cancelOnAbort(call, options.signal);
  });
}

async function* serverStream(
  start: CallStart,
  request: object,
  options: CallOptions,
): AsyncGenerator<object> {
  refuseEarly(start, options.signal);
  const { channel, codec, defaults } = start;
  const call = channel.makeServerStreamRequest(
    codec.path,
    codec.input.encode,
    codec.output.decode,
    request,
    metadataOf(defaults, options),
    grpcOptions(options.timeoutMs),
  );
  yield* responses(call, start, options.signal);
}

async function* responses(
  call: Cancellable & Readable,
  start: CallStart,
  signal: AbortSignal | undefined,
): AsyncGenerator<object> {
  const release = cancelOnAbort(call, signal);
  try {
    for await (const message of call.iterator({ destroyOnReturn: false })) yield message as object;
  } catch (err) {
    throw failure(err, start, signal);
  } finally {
    release();
    // Cancelling after the loop can still report CANCELLED, which nobody waits for any more.
    call.on("error", () => {});
    call.cancel();
  }
}

async function clientStream(
  start: CallStart,
  requests: AsyncIterable<object>,
  options: CallOptions,
): Promise<object> {
  refuseEarly(start, options.signal);
  const { channel, codec, defaults } = start;
  let release = () => {};
  try {
    return await new Promise<object>((resolve, reject) => {
      const call = channel.makeClientStreamRequest(
        codec.path,
        codec.input.encode,
        codec.output.decode,
        metadataOf(defaults, options),
        grpcOptions(options.timeoutMs),
        (error, response) => {
          if (error === null && response !== undefined) resolve(response);
          else reject(failure(error, start, options.signal));
        },
      );
      release = cancelOnAbort(call, options.signal);
      sendAll(call, requests).catch((err: unknown) => {
        reject(err);
        call.cancel();
      });
    });
  } finally {
    release();
  }
}

async function* bidiStream(
  start: CallStart,
  requests: AsyncIterable<object>,
  options: CallOptions,
): AsyncGenerator<object> {
  refuseEarly(start, options.signal);
  const { channel, codec, defaults } = start;
  const call = channel.makeBidiStreamRequest(
    codec.path,
    codec.input.encode,
    codec.output.decode,
    metadataOf(defaults, options),
    grpcOptions(options.timeoutMs),
  );
  let sendError: unknown;
  void sendAll(call, requests).catch((err: unknown) => {
    sendError = err;
    call.cancel();
  });
  try {
    yield* responses(call, start, options.signal);
  } catch (err) {
    throw sendError ?? err;
  }
}
