/** The agent's API: gRPC on a unix socket, open to root alone. */
import { type Server, ServerCredentials } from "@grpc/grpc-js";
import { createServer } from "../lib/grpc-server.js";
import { openScope } from "../lib/scope.js";
import type { Node } from "../node/node.js";
import type { ApiLog } from "./errors.js";
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

/**
 * Serves until disposed of. Streams that follow something end at once when `signal` aborts or the server is
 * disposed of; other calls have the grace period, and are then cancelled.
 */
export async function serveApi(options: ServeOptions, signal: AbortSignal): Promise<AsyncDisposable> {
  const { node, socketPath, log, graceMs = graceMsDefault } = options;
  signal.throwIfAborted();
  await using scope = openScope();
  const stopping = new AbortController();
  const closing = AbortSignal.any([signal, stopping.signal]);
  const server = createServer();
  for (const { definition, implementation } of services({ node, closing }, log))
    server.addService(definition, implementation);
  scope.defer(async () => {
    stopping.abort();
    await shutDown(server, graceMs);
  });
  scope.use(await bindPrivately(socketPath, (path) => bind(server, path)));
  return scope.move();
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}

/** Forcing is also what ends a graceful shutdown whose client never lets go. */
function shutDown(server: Server, graceMs: number): Promise<void> {
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
