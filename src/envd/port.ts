/** Requests for servers that listen in a sandbox, each on a connection of its own through the guest. */
import type { Duplex } from "node:stream";
import { guestErrorOf } from "../guest-client/errors.js";
import { carryRequest, carryUpgrade, type HttpExchange, type UpgradeExchange } from "../lib/carry-http.js";
import { isDomainError } from "../lib/errors.js";
import { delay } from "../lib/signal.js";
import type { Ports } from "../node/ports.js";
import type { CarrierTarget } from "./carrier.js";
import { answerFailure, answerJson, closedPortBody } from "./http.js";

/** A server that is about to listen is waited for, as E2B does. */
const pausesMs = [100, 200, 300, 400];

async function dial(ports: Ports, target: CarrierTarget, signal: AbortSignal): Promise<Duplex | "closed"> {
  for (const pauseMs of [...pausesMs, undefined]) {
    try {
      return await ports.dial(target.sandbox, target.port, signal);
    } catch (thrown) {
      if (guestErrorOf(thrown)?.code !== "refused") throw thrown;
      if (pauseMs !== undefined) await delay(pauseMs, signal);
    }
  }
  return "closed";
}

export async function requestPort(
  ports: Ports,
  exchange: HttpExchange,
  target: CarrierTarget,
): Promise<void> {
  const { response } = exchange;
  const leaving = new AbortController();
  response.once("close", () => leaving.abort());
  try {
    const inside = await dial(ports, target, leaving.signal);
    if (inside === "closed") answerJson(response, 502, closedPortBody(target));
    else await carryRequest(exchange, { connection: inside }, target);
  } catch (thrown) {
    if (isDomainError(thrown)) answerFailure(response, thrown);
    else answerFailure(response, thrown, noAnswerBody(target));
  }
}

const noAnswerBody = ({ sandbox, port }: CarrierTarget) => ({
  sandboxId: sandbox,
  message: "The server in the sandbox gave no answer",
  port,
  code: 502,
});

export async function upgradePort(
  ports: Ports,
  exchange: UpgradeExchange,
  target: CarrierTarget,
): Promise<void> {
  const { socket } = exchange;
  const leaving = new AbortController();
  socket.once("close", () => leaving.abort());
  try {
    const inside = await dial(ports, target, leaving.signal);
    if (inside === "closed") refuseUpgrade(socket, JSON.stringify(closedPortBody(target)));
    else await carryUpgrade(exchange, inside, target);
  } catch {
    socket.destroy();
  }
}

function refuseUpgrade(socket: Duplex, body: string): void {
  socket.end(
    "HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nConnection: close\r\n" +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
