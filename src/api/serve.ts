/** The agent's API: gRPC on a unix socket, open to root alone; and, for a registry, by mutual TLS. */
import type { Duplex } from "node:stream";
import type { TlsOptions } from "node:tls";
import { type Server, ServerCredentials } from "@grpc/grpc-js";
import type { Address } from "../lib/address.js";
import type { DomainError } from "../lib/errors.js";
import { createServer, shutDown } from "../lib/grpc-server.js";
import { type ApiLog, toStatus } from "../lib/grpc-status.js";
import { openScope, type Scope } from "../lib/scope.js";
import type { Node } from "../node/node.js";
import { openRemotePort } from "./remote-port.js";
import { services } from "./services.js";
import { bindPrivately } from "./socket.js";

export interface ServeOptions {
  readonly node: Node;
  /** Absolute; at most 101 bytes. */
  readonly socketPath: string;
  readonly log: ApiLog;
  /** How long calls in flight may go on after the server is told to stop. Default 5,000 ms. */
  readonly graceMs?: number;
}

const graceMsDefault = 5000;
/** A registry whose machine is gone holds no call for longer than twice this. */
const keepAliveMs = 10_000;

/**
 * Serves until disposed of. Streams that follow something end at once when `signal` aborts or the server is
 * disposed of; other calls have the grace period, and are then cancelled.
 */
export async function serveApi(options: ServeOptions, signal: AbortSignal): Promise<AsyncDisposable> {
  signal.throwIfAborted();
  await using scope = openScope();
  const server = serverOf(scope, options, signal);
  scope.use(await bindPrivately(options.socketPath, (path) => bind(server, path)));
  return scope.move();
}

export interface ServeRemoteOptions extends Omit<ServeOptions, "socketPath"> {
  readonly address: Address;
  readonly tls: TlsOptions;
  /** Takes connections with requests to sandboxes. */
  readonly dataPlane: { readonly accept: (connection: Duplex) => void };
  /** The error for a caller with this certificate (DER), if it may not call. */
  readonly refuse: (peerCertificate: Buffer | undefined) => DomainError | undefined;
}

/** The same API on a TCP port, and requests to sandboxes. */
export async function serveRemote(
  options: ServeRemoteOptions,
  signal: AbortSignal,
): Promise<AsyncDisposable & { readonly port: number }> {
  signal.throwIfAborted();
  await using scope = openScope();
  const { address, tls, dataPlane, refuse } = options;
  const calls = serverOf(scope, options, signal);
  const requests = dataPlane.accept;
  const isWelcome = (certificate: Buffer | undefined) => refuse(certificate) === undefined;
  const { port } = scope.use(await openRemotePort({ address, tls, calls, requests, isWelcome }));
  const owned = scope.move();
  return { port, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

type ServerParts = Omit<ServeOptions, "socketPath"> & Partial<Pick<ServeRemoteOptions, "refuse">>;

function serverOf(scope: Scope, parts: ServerParts, signal: AbortSignal): Server {
  const { node, log, refuse, graceMs = graceMsDefault } = parts;
  const stopping = new AbortController();
  const closing = AbortSignal.any([signal, stopping.signal]);
  const server = createServer(refuse === undefined ? {} : { refuse: refusal(refuse, log), keepAliveMs });
  for (const { definition, implementation } of services({ node, closing }, log))
    server.addService(definition, implementation);
  scope.defer(async () => {
    stopping.abort();
    await shutDown(server, graceMs);
  });
  return server;
}

function refusal(refuse: ServeRemoteOptions["refuse"], log: ApiLog) {
  return (peerCertificate: Buffer | undefined) => {
    const error = refuse(peerCertificate);
    return error === undefined ? undefined : toStatus(error, "the call", log);
  };
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}
