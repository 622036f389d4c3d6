/** One HTTP request to somebody else: as it came, and its answer back as it comes. */
import {
  type ClientRequest,
  type Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Agent as HttpsAgent } from "node:https";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { cutResponse, isClosed } from "./cut-response.js";
import { bytesPassed } from "./passing-bytes.js";

export interface HttpExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** A request that leaves HTTP: the connection is the client's from then on. */
export interface UpgradeExchange {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What has come of it already. */
  readonly head: Buffer;
}

/** A connection for this request alone, or one that is kept for others. */
export type Way =
  | { readonly connection: Duplex }
  | { readonly agent: HttpAgent | HttpsAgent; readonly host: string; readonly port: number };

/** What a connection failed with that was kept, and that the other end may have given up already. */
export class StaleConnection extends Error {
  override readonly name = "StaleConnection";
}

export interface CarryOptions {
  /** In lower case; added to what the client has sent, and in place of the same from it. */
  readonly add?: Readonly<Record<string, string>>;
  /** In place of the client's, which goes into `X-Forwarded-Host`. */
  readonly host?: string;
  /** The answer begins. */
  readonly onAnswer?: () => void;
}

/**
 * Bodies stream both ways. Rejects while nothing has been answered yet, with `StaleConnection` where a kept connection
 * broke; later the client's connection is cut where the other one is, which tells a whole answer from a part of one.
 */
export async function carryRequest(
  { request, response }: HttpExchange,
  way: Way,
  options: CarryOptions = {},
): Promise<void> {
  const asking = begin(request, way, options);
  const leave = () => {
    asking.destroy();
    if ("connection" in way) way.connection.destroy();
  };
  response.once("close", leave);
  if (isClosed(response)) leave();
  const answer = await answerTo(asking, request);
  options.onAnswer?.();
  writeHead(answer, response, isHttp2(request));
  answer.once("end", () => addTrailers(answer, response, isHttp2(request)));
  await passOn(answer, response);
}

/** Throws what HTTP does not let through; nothing of it is kept for another answer. */
function writeHead(answer: IncomingMessage, response: ServerResponse, byHttp2: boolean): void {
  const status = answer.statusCode ?? 502;
  try {
    if (byHttp2) response.writeHead(status, headersOfHttp2(answer.headers));
    else response.writeHead(status, answer.statusMessage ?? "", ofMessage(answer.rawHeaders));
    response.flushHeaders();
  } catch (thrown) {
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    throw thrown;
  }
}

/** HTTP/2's answers take them by name alone. */
function addTrailers({ rawTrailers, trailers }: IncomingMessage, response: ServerResponse, byHttp2: boolean) {
  if (rawTrailers.length > 0) response.addTrailers(byHttp2 ? headersOfHttp2(trailers) : pairs(rawTrailers));
}

/** As `pipeline`, which takes longer to set up than a small answer does to pass. */
function passOn(answer: IncomingMessage, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    // One that is cut off says so by an error.
    answer.once("error", () => cutResponse(response));
    response.once("error", () => {});
    // Whoever left has had the other side's connection destroyed.
    response.once("close", resolve);
    if (isClosed(response)) resolve();
    answer.on("data", countBytes).pipe(response);
  });
}

const countBytes = (piece: Buffer) => bytesPassed(piece.length);

/** Whether the message has a body; one that has none can be sent again. */
export function hasBody(request: IncomingMessage): boolean {
  if (isHttp2(request)) return !endsWithHeaders(request);
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  return coding !== undefined || (length !== undefined && length !== "0");
}

const isHttp2 = ({ httpVersionMajor }: IncomingMessage): boolean => httpVersionMajor === 2;

/**
 * Without those that HTTP/2 has other means for (RFC 9113, 8.2.2). What says twice what is said once would be refused: the
 * first counts, and lists are joined.
 */
function headersOfHttp2(headers: NodeJS.Dict<string | string[]>): Record<string, string | string[]> {
  const passed = passing(String(headers["connection"] ?? ""));
  const entries = Object.entries(headers).filter(([name]) => passed(name) && !ofHttp1.has(name));
  return Object.fromEntries(entries) as Record<string, string | string[]>;
}

function begin(request: IncomingMessage, way: Way, options: CarryOptions): ClientRequest {
  const to =
    "connection" in way
      ? { createConnection: () => way.connection }
      : { agent: way.agent, protocol: protocolOf(way.agent), host: way.host, port: way.port };
  return httpRequest({
    ...to,
    ...(request.method === undefined ? {} : { method: request.method }),
    ...(request.url === undefined ? {} : { path: request.url }),
    setHost: false,
    headers: headersFor(ofMessage(headersOf(request)), options),
  });
}

/** Node's types do not say it; an agent of TLS refuses requests that ask for another. */
const protocolOf = (agent: HttpAgent | HttpsAgent): string =>
  (agent as { readonly protocol?: string }).protocol ?? "http:";

function answerTo(asking: ClientRequest, request: IncomingMessage): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    asking.once("response", resolve);
    asking.on("error", (cause) =>
      reject(asking.reusedSocket ? new StaleConnection("a kept connection broke", { cause }) : cause),
    );
    // It says no more where the other side leaves HTTP without having been asked to.
    asking.once("close", () => reject(new Error("the connection ended without an answer")));
    if (!hasBody(request)) asking.end();
    // A server that has answered need not read the rest.
    else pipeline(request.on("data", countBytes), asking).catch(reject);
  });
}

/** Ends when either side does. Never rejects. */
export async function carryUpgrade(
  { request, socket, head }: UpgradeExchange,
  connection: Duplex,
  options: CarryOptions = {},
): Promise<void> {
  const lines = pairs(headersFor(headersOf(request), options)).map(([name, value]) => `${name}: ${value}`);
  connection.write(`${request.method} ${request.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`, "latin1");
  if (head.length > 0) connection.write(head);
  try {
    await Promise.all([pipeline(socket, connection), pipeline(connection, socket)]);
  } catch {
    socket.destroy();
    connection.destroy();
  }
}

/** Of one connection, not of the message (RFC 9110, 7.6.1). */
const ofConnection: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "upgrade",
]);
const ofHttp1: ReadonlySet<string> = new Set(["transfer-encoding", "te", "http2-settings"]);
/** Whoever names them as such does not know what they are: how the body is framed, and whose it is, stays. */
const ofMessageAlone: ReadonlySet<string> = new Set(["content-length", "host", "transfer-encoding"]);

/** Whether a header of that name in lower case goes on, by what the message says of its connection. */
function passing(connection = ""): (name: string) => boolean {
  const named = connection.split(",").map((name) => name.trim().toLowerCase());
  return (name) => !ofConnection.has(name) && (!named.includes(name) || ofMessageAlone.has(name));
}

function ofMessage(raw: readonly string[]): string[] {
  const all = pairs(raw);
  const said = all.filter(([name]) => name.toLowerCase() === "connection").map(([, value]) => value);
  const passed = passing(said.join());
  return all.filter(([name]) => passed(name.toLowerCase())).flat();
}

function pairs(raw: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) found.push([raw[at] ?? "", raw[at + 1] ?? ""]);
  return found;
}

/** As HTTP/1.1 has them, whichever version they came in: one host, and one line of cookies (RFC 9113, 8.2.3 and 8.3.1). */
function headersOf(request: IncomingMessage): string[] {
  if (!isHttp2(request)) return request.rawHeaders;
  const { ":authority": authority, host = "", cookie } = request.headers;
  const named = pairs(request.rawHeaders).filter(([name]) => !/^(:.*|host|cookie)$/.test(name));
  const isOpenEnded = !("content-length" in request.headers) && !endsWithHeaders(request);
  return [
    ...["Host", String(authority ?? host)],
    ...named.flat(),
    ...(cookie === undefined ? [] : ["Cookie", cookie]),
    ...(isOpenEnded ? ["Transfer-Encoding", "chunked"] : []),
  ];
}

const endsWithHeaders = (request: IncomingMessage): boolean =>
  (request as unknown as Http2ServerRequest).stream.endAfterHeaders;

function headersFor(sent: readonly string[], { host, add = {} }: CarryOptions): string[] {
  const own = pairs(sent).filter(([name]) => !(name.toLowerCase() in add));
  const headers = [...own.flat(), ...Object.entries(add).flat()];
  if (host === undefined) return headers;
  return pairs(headers).flatMap(([name, value]) =>
    name.toLowerCase() === "host" ? ["Host", host, "X-Forwarded-Host", value] : [name, value],
  );
}
