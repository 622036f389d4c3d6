/** What comes from outside for a sandbox of this node: envd's own port is answered here, others are carried inside. */
import { createServer, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { HttpExchange } from "../lib/carry-http.js";
import type { UpgradeExchange } from "../lib/carry-upgrade.js";
import { cutResponse } from "../lib/cut-response.js";
import { dropAfterAnswer } from "../lib/drop-body.js";
import { anyNumber, headerBytesBetween } from "../lib/http-message.js";
import { type PortTarget, parseTarget, targetHeader } from "../sandbox/port-target.js";
import type { EnvdDeps } from "./deps.js";
import { envdPort, openEnvd } from "./envd.js";
import { openPortCarrier, type PortNode } from "./port.js";

export type CarrierTarget = PortTarget;

export interface CarrierDeps extends EnvdDeps {
  readonly node: PortNode;
}

/** Nothing throws; what goes wrong is answered. */
export interface NodeCarrier {
  request(exchange: HttpExchange, target: CarrierTarget): void;
  upgrade(exchange: UpgradeExchange, target: CarrierTarget): void;
  /** Takes a connection of a registry, on which each request says by a header what it is for. */
  accept(connection: Duplex): void;
}

export function openCarrier(deps: CarrierDeps): NodeCarrier {
  const envd = openEnvd(deps);
  const ports = openPortCarrier(deps.node);

  function request(exchange: HttpExchange, target: CarrierTarget): void {
    if (target.port === envdPort) void envd.handle(exchange.request, exchange.response, target);
    // Of what comes from inside, nothing may end this process.
    else ports.request(exchange, target).catch(() => cutResponse(exchange.response));
  }

  function upgrade(exchange: UpgradeExchange, target: CarrierTarget): void {
    if (target.port !== envdPort) void ports.upgrade(exchange, target);
    else
      exchange.socket.end("HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  }

  /** Listens nowhere: connections are handed to it. */
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 0, maxHeaderSize: headerBytesBetween });
  server.maxHeadersCount = anyNumber;
  server.on("request", (message, response) => {
    dropAfterAnswer(message, response);
    const target = takeTarget(message);
    if (target === undefined) response.destroy();
    else request({ request: message, response }, target);
  });
  server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    const target = takeTarget(message);
    if (target === undefined) socket.destroy();
    else upgrade({ request: message, socket, head }, target);
  });

  return {
    request,
    upgrade,
    accept(connection) {
      server.emit("connection", connection);
    },
  };
}

/** The header is between registry and node: nobody inside sees it. */
function takeTarget(message: IncomingMessage): CarrierTarget | undefined {
  const target = parseTarget(message.headers[targetHeader]);
  delete message.headers[targetHeader];
  const { rawHeaders } = message;
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === targetHeader);
  if (at >= 0) rawHeaders.splice(at, 2);
  return target;
}
