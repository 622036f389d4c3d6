/** A request that leaves HTTP: as it came, and then whatever either side sends, once the other side has agreed. */
import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type CarryOptions, giveAnswer, send } from "./carry-http.js";
import { headersFor, pairs } from "./http-message.js";

/** A request that leaves HTTP: the connection is the client's from then on. */
export interface UpgradeExchange {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What has come of it already. */
  readonly head: Buffer;
}

/** Of what a client says before it is answered. */
const earlyBytesMax = 64 * 1024;

/**
 * Ends when either side does. Never rejects. An answer that stays in HTTP ends the connection: what else a client, or a
 * proxy for many of them, sends on it may be for somebody else.
 */
export async function carryUpgrade(
  { request, socket, head }: UpgradeExchange,
  connection: Duplex,
  options: CarryOptions = {},
): Promise<void> {
  // TLS and streams of Node listen to each eleven times already.
  for (const side of [socket, connection]) side.setMaxListeners(20);
  // A client waits for the answer before it says more; until then an end is that it has left.
  const leave = () => connection.destroy();
  socket.once("close", leave).once("end", leave);
  const early = [head];
  let bytes = 0;
  const keep = (data: Buffer) => {
    early.push(data);
    bytes += data.length;
    if (bytes > earlyBytesMax) socket.pause();
  };
  socket.on("data", keep);
  try {
    const { answer, first } = await ask(request, connection, options);
    options.onAnswer?.();
    socket.off("close", leave).off("end", leave).off("data", keep).pause();
    if (first === undefined) return await stayInHttp(answer, request, socket);
    socket.write(headOf(answer), "latin1");
    socket.write(first);
    for (const data of early) connection.write(data);
    await Promise.all([pipeline(socket, connection), pipeline(connection, socket)]);
  } catch {
    // Whoever has told the client why has ended it.
    if (!socket.writableEnded) socket.destroy();
  } finally {
    connection.destroy();
  }
}

interface Asked {
  readonly answer: IncomingMessage;
  /** What came behind it, where it leaves HTTP. */
  readonly first?: Buffer;
}

function ask(request: IncomingMessage, connection: Duplex, options: CarryOptions): Promise<Asked> {
  const headers = headersFor(request.rawHeaders, options);
  const asking = send(request, { createConnection: () => connection }, headers, options);
  return new Promise((resolve, reject) => {
    asking.once("upgrade", (answer, _connection, first) => resolve({ answer, first }));
    asking.once("response", (answer) => resolve({ answer }));
    asking.on("error", reject);
    asking.once("close", () => reject(new Error("the connection ended without an answer")));
    asking.end();
  });
}

function headOf({ statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = pairs(rawHeaders).map(([name, value]) => `${name}: ${value}`);
  return `${[`HTTP/1.1 ${statusCode} ${statusMessage}`, ...lines].join("\r\n")}\r\n\r\n`;
}

function stayInHttp(answer: IncomingMessage, request: IncomingMessage, socket: Duplex): Promise<void> {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Socket);
  response.once("finish", () => socket.end(() => socket.destroy()));
  // What else comes is for nobody.
  socket.resume();
  return giveAnswer(answer, response, false);
}
