/** Requests for servers that listen in a sandbox, through the guest. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { guestErrorOf } from "../guest-client/errors.js";
import { carryRequest, type HttpExchange, StaleConnection } from "../lib/carry-http.js";
import { carryUpgrade, type UpgradeExchange } from "../lib/carry-upgrade.js";
import { isClosed } from "../lib/cut-response.js";
import { dropBody } from "../lib/drop-body.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { hasBody } from "../lib/http-message.js";
import { delay } from "../lib/signal.js";
import type { Ports } from "../node/ports.js";
import type { CarrierTarget } from "./carrier.js";
import type { EnvdDeps } from "./deps.js";
import { failureBody } from "./failure.js";
import { answerFailure, closedPortBody, noSandboxBody } from "./http.js";
import { type Dial, type KeptConnections, keepConnections } from "./kept-connections.js";
import { failedByEnd } from "./presence.js";

/** A server that is about to listen is waited for, as E2B does. */
const pausesMs = [100, 200, 300, 400];

/**
 * A server that serves one connection at a time may wait for one that is kept. None is, each time that so long has
 * passed without an answer: of several that wait, one after another is served, and its connection kept.
 */
const patienceMs = 100;

export interface PortCarrier {
  request(exchange: HttpExchange, target: CarrierTarget): Promise<void>;
  upgrade(exchange: UpgradeExchange, target: CarrierTarget): Promise<void>;
}

export type PortNode = EnvdDeps["node"] & { readonly ports: Ports };

export function openPortCarrier(node: PortNode): PortCarrier {
  const dial: Dial = (sandbox, port, signal) => dialPatiently(node.ports, { sandbox, port }, signal);
  const kept = keepConnections(dial);
  return {
    request: (exchange, target) => requestPort({ node, dial, kept }, exchange, target),
    upgrade: (exchange, target) => upgradePort({ node, dial }, exchange, target),
  };
}

async function dialPatiently(
  ports: Ports,
  { sandbox, port }: Pick<CarrierTarget, "sandbox" | "port">,
  signal: AbortSignal,
): Promise<Duplex> {
  for (const pauseMs of pausesMs) {
    try {
      return await ports.dial(sandbox, port, signal);
    } catch (thrown) {
      if (!isRefused(thrown)) throw thrown;
      await delay(pauseMs, signal);
    }
  }
  return ports.dial(sandbox, port, signal);
}

const isRefused = (thrown: unknown): boolean => guestErrorOf(thrown)?.code === "refused";

interface Ways {
  readonly node: PortNode;
  readonly dial: Dial;
  readonly kept: KeptConnections;
}

async function requestPort(ways: Ways, exchange: HttpExchange, target: CarrierTarget): Promise<void> {
  const { request, response } = exchange;
  try {
    await carry(ways, exchange, target);
  } catch (thrown) {
    // Of a server that went away in the middle a client is told at once: it may be long before it sends the rest.
    if (isRefused(thrown)) await dropBody(request);
    answerFailure(response, thrown, response.headersSent ? undefined : await refusalOf(ways, thrown, target));
  }
}

async function refusalOf(ways: Pick<Ways, "node">, thrown: unknown, target: CarrierTarget) {
  if (isRefused(thrown)) return closedPortBody(target);
  if (await failedByEnd(ways, target.sandbox, thrown)) return noSandboxBody(target.sandbox);
  return isDomainError(thrown) ? failureBody(thrown) : noAnswerBody(target);
}

/** What a dump has cut is sent again where it may be, at so many dumps. */
const dumpsMax = 5;

async function carry(ways: Ways, exchange: HttpExchange, target: CarrierTarget): Promise<void> {
  const { request, response } = exchange;
  for (let dumps = 0; ; dumps++) {
    const passage = await whileThere(response, (signal) => ways.node.ports.pass(target.sandbox, signal));
    try {
      return await carryOnce(ways, exchange, target);
    } catch (thrown) {
      const isOver = response.headersSent || isClosed(response) || dumps >= dumpsMax;
      if (isOver || !passage.wasCut() || !mayRepeat(request)) throw thrown;
    } finally {
      passage.leave();
    }
  }
}

/** What may be sent again takes a connection that is kept, which its server may be closing at this moment. */
async function carryOnce(ways: Ways, exchange: HttpExchange, target: CarrierTarget): Promise<void> {
  const { request, response } = exchange;
  const { sandbox, port } = target;
  const hurry = setInterval(() => ways.kept.drop(sandbox, port), patienceMs);
  const calm = () => clearInterval(hurry);
  response.once("close", calm);
  try {
    if (mayRepeat(request)) {
      try {
        await carryRequest(
          exchange,
          { agent: ways.kept.agent, host: sandbox, port },
          { ...target, onAnswer: calm, isForeign: true },
        );
        return;
      } catch (thrown) {
        if (!(thrown instanceof StaleConnection) || isClosed(response)) throw thrown;
      }
    }
    const connection = await dialFor(ways, response, target);
    await carryRequest(exchange, { connection }, { ...target, onAnswer: calm, isForeign: true });
  } finally {
    calm();
    response.off("close", calm);
  }
}

const dialFor = (
  { dial }: Pick<Ways, "dial">,
  client: Duplex | ServerResponse,
  { sandbox, port }: CarrierTarget,
): Promise<Duplex> => whileThere(client, (signal) => dial(sandbox, port, signal));

/** For this exchange alone: for whoever leaves nothing is waited for any more. */
async function whileThere<T>(
  client: Duplex | ServerResponse,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const leaving = new AbortController();
  const leave = () => leaving.abort(new DomainError("cancelled", "the client went away"));
  client.once("close", leave);
  if (isClosed(client)) leave();
  try {
    return await work(leaving.signal);
  } finally {
    client.off("close", leave);
  }
}

/** Without effects by what HTTP says (RFC 9110, 9.2.1), and whole: a body is gone once it is sent. */
const mayRepeat = (request: IncomingMessage): boolean =>
  ["GET", "HEAD", "OPTIONS"].includes(request.method ?? "") && !hasBody(request);

const noAnswerBody = ({ sandbox, port }: CarrierTarget) => ({
  sandboxId: sandbox,
  message: "The server in the sandbox gave no answer",
  port,
  code: 502,
});

async function upgradePort(
  ways: Omit<Ways, "kept">,
  exchange: UpgradeExchange,
  target: CarrierTarget,
): Promise<void> {
  const { socket } = exchange;
  try {
    const passage = await whileThere(socket, (signal) => ways.node.ports.pass(target.sandbox, signal));
    try {
      const connection = await dialFor(ways, socket, target);
      await carryUpgrade(exchange, connection, { ...target, onAnswer: passage.leave, isForeign: true });
    } finally {
      passage.leave();
    }
  } catch (thrown) {
    refuseUpgrade(socket, await refusalOf(ways, thrown, target));
  }
}

function refuseUpgrade(socket: Duplex, body: { readonly code: number }): void {
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${body.code} ${STATUS_CODES[body.code]}\r\nContent-Type: application/json\r\nConnection: close\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}
