/**
 * The server under the routes: what is for a sandbox is taken before any route sees it. HTTP/1.1; by TLS, HTTP/2 too, for
 * clients that ask for it.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { constants, createSecureServer, type Http2SecureServer, type Http2ServerRequest } from "node:http2";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { dropAfterAnswer } from "../lib/drop-body.js";
import { anyNumber, headerBytesMax, isHttp2 } from "../lib/http-message.js";
import type { Certificate } from "./certificate.js";

export interface Interceptor {
  /** Whether it is for a sandbox: it is answered then. */
  request(request: IncomingMessage, response: ServerResponse): boolean;
  /** The same for one that leaves HTTP. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean;
}

export interface Front {
  /** The one that is asked. None: all is for the routes. */
  intercept(interceptor: Interceptor): void;
  /** Connections that are opened from then on are shown this one. Nothing to be done without TLS. */
  renew(certificate: Certificate): void;
  /** For fastify. */
  serverFactory(routes: RequestListener): Server;
}

/** Of a request for the routes, body and all: a client that is slow to send it is not waited for. */
const requestMs = 60_000;
const headersMs = 60_000;
/** Longer than clients and load balancers as a rule keep theirs, so that it is they who close it. */
const keepAliveMs = 72_000;

/**
 * Of silence, after which a client is asked whether it is there: else the streams of one that went without a word, and its
 * connections to servers in sandboxes, would stay for good. It has 10 s to answer.
 */
const silence = { keepAlive: true, keepAliveInitialDelay: 60_000 } as const;

export function openFront(tls?: Certificate): Front {
  let interceptor: Interceptor | undefined;
  let secure: Http2SecureServer | undefined;
  // Bodies for sandboxes take as long as they take.
  const times = { requestTimeout: 0, headersTimeout: headersMs, keepAliveTimeout: keepAliveMs };
  const limits = { ...times, maxHeaderSize: headerBytesMax, maxHeadersCount: anyNumber };
  return {
    intercept(given) {
      interceptor = given;
    },
    renew: (certificate) => secure?.setSecureContext(certificate),
    serverFactory(routes) {
      const listener: RequestListener = (request, response) => {
        dropAfterAnswer(request, response);
        if (interceptor?.request(request, response) === true) return;
        endInTime(request);
        routes(request, response);
      };
      if (tls !== undefined) secure = createSecureServer({ ...secureOptions, ...silence, ...tls });
      const server =
        secure === undefined
          ? Object.assign(createServer({ ...limits, ...silence }, listener), limits)
          : serveTls(secure, limits, listener);
      server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        if (interceptor?.upgrade(request, socket, head) === true) return;
        // To go on in HTTP is what a server may do that is offered something else (RFC 9110, 7.8).
        socket.unshift(Buffer.concat([headOf(request), head]));
        server.emit(tls === undefined ? "connection" : "secureConnection", socket);
      });
      return server;
    },
  };
}

type Limits = Pick<Server, "requestTimeout" | "headersTimeout" | "keepAliveTimeout" | "maxHeadersCount"> & {
  readonly maxHeaderSize: number;
};

/** Bytes that are on their way to us of one stream, and of all of a connection: Node's own 64 KiB stop at each round trip. */
const streamWindow = 1024 * 1024;
const connectionWindow = 4 * streamWindow;
const streamsMax = 1000;

const secureOptions = {
  allowHTTP1: true,
  settings: {
    initialWindowSize: streamWindow,
    maxConcurrentStreams: streamsMax,
    maxHeaderListSize: headerBytesMax,
  },
  maxHeaderListPairs: 4000,
  // Of an answer, reckoned with more for each line than there is in it.
  maxSendHeaderBlockLength: 4 * headerBytesMax,
  // Of a connection, in MiB: it takes no streams beyond it, and each may have a window in memory.
  maxSessionMemory: 256,
  noDelay: true,
};

/** Its answers and requests are of the library's HTTP/2, which takes them for those of HTTP/1.1 as far as we use them. */
function serveTls(secure: Http2SecureServer, limits: Limits, listener: RequestListener) {
  const server = Object.assign(secure as unknown as Server, limits);
  server.on("request", (request, response) => {
    if (isHttp2(request)) endWithAnswer(request as unknown as Http2ServerRequest);
    listener(request, response);
  });
  secure.on("session", (session) => session.setLocalWindowSize(connectionWindow));
  const sockets = new Set<TLSSocket>();
  secure.on("secureConnection", (socket: TLSSocket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.closeAllConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
  return server;
}

/** Until its last bytes are on their way. */
const answerLeavesMs = 100;

/** What of the body is still to come then is for nobody, and its stream would stay as long as the connection (RFC 9113, 8.1). */
function endWithAnswer({ stream }: Http2ServerRequest): void {
  if (stream.endAfterHeaders) return;
  const end = () => {
    if (stream.destroyed) return;
    if (stream.state.localClose === 1) stream.close(constants.NGHTTP2_NO_ERROR);
    else setTimeout(end, answerLeavesMs);
  };
  stream.once("finish", () => setTimeout(end, answerLeavesMs));
}

/** The request's head once more, with nothing in it that leaves HTTP. */
function headOf({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    if (!/^(connection|upgrade|http2-settings)$/i.test(name)) lines.push(`${name}: ${rawHeaders[at + 1]}`);
  }
  return Buffer.from(`${lines.join("\r\n")}\r\nConnection: close\r\n\r\n`, "latin1");
}

function endInTime(request: IncomingMessage): void {
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy();
  }, requestMs);
  request.once("close", () => clearTimeout(timer));
}
