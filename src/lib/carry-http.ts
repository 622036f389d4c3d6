/** One HTTP request to somebody else: as it came, and its answer back as it comes. */
import {
  type ClientRequest,
  type Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
} from "node:http";
import type { Agent as HttpsAgent } from "node:https";
import type { Duplex } from "node:stream";
import { cutResponse, isClosed } from "./cut-response.js";
import {
  anyNumber,
  type HeaderOptions,
  hasBody,
  headerBytesBetween,
  headerBytesMax,
  headersFor,
  headersOf,
  headersOfHttp2,
  isHttp2,
  ofMessage,
  pairs,
} from "./http-message.js";
import { bytesPassed } from "./passing-bytes.js";

export interface HttpExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** A connection for this request alone, or one that is kept for others. */
export type Way =
  | { readonly connection: Duplex }
  | { readonly agent: HttpAgent | HttpsAgent; readonly host: string; readonly port: number };

/** What a connection failed with that was kept, and that the other end may have given up already. */
export class StaleConnection extends Error {
  override readonly name = "StaleConnection";
}

export interface CarryOptions extends HeaderOptions {
  /** The answer begins. */
  readonly onAnswer?: () => void;
  /** The server is anybody's: what clients put up with as a rule is let pass, such as lines that end without a CR. */
  readonly isForeign?: boolean;
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
  await giveAnswer(answer, response, isHttp2(request));
}

/** Rejects with what HTTP does not let through. */
export async function giveAnswer(
  answer: IncomingMessage,
  response: ServerResponse,
  byHttp2: boolean,
): Promise<void> {
  writeHead(answer, response, byHttp2);
  answer.once("end", () => addTrailers(answer, response, byHttp2));
  await passOn(answer, response);
}

/** Of what cannot be said nothing is kept for another answer. */
function writeHead(answer: IncomingMessage, response: ServerResponse, byHttp2: boolean): void {
  const status = answer.statusCode ?? 502;
  try {
    if (byHttp2) response.writeHead(status, headersOfHttp2(answer.headers));
    else response.writeHead(status, answer.statusMessage ?? "", headersFrom(answer, response.req));
    // Bytes as they came: by itself, Node sends a head without a body as UTF-8.
    if (byHttp2) response.flushHeaders();
    else response.write("", "latin1");
  } catch (thrown) {
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    if (!byHttp2) response.statusMessage = "";
    throw thrown;
  }
}

/** HTTP/1.0 has no pieces: its body ends with the connection. */
function headersFrom({ rawHeaders }: IncomingMessage, { httpVersion }: IncomingMessage): string[] {
  const headers = ofMessage(rawHeaders);
  if (httpVersion !== "1.0") return headers;
  return pairs(headers)
    .filter(([name]) => name.toLowerCase() !== "transfer-encoding")
    .flat();
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

function begin(request: IncomingMessage, way: Way, options: CarryOptions): ClientRequest {
  const to =
    "connection" in way
      ? { createConnection: () => way.connection }
      : { agent: way.agent, protocol: protocolOf(way.agent), host: way.host, port: way.port };
  const headers = [...headersFor(ofMessage(headersOf(request)), options), ...lengthOfNothing(request)];
  return send(request, to, headers, options);
}

/** The request's line and these headers. */
export function send(
  { method, url }: IncomingMessage,
  to: RequestOptions,
  headers: readonly string[],
  { isForeign = false }: CarryOptions,
): ClientRequest {
  const asking = httpRequest({
    ...to,
    ...(method === undefined ? {} : { method }),
    ...(url === undefined ? {} : { path: url }),
    setHost: false,
    headers,
    insecureHTTPParser: isForeign,
    maxHeaderSize: isForeign ? headerBytesMax : headerBytesBetween,
  });
  asking.maxHeadersCount = anyNumber;
  return asking;
}

/** Node takes these for requests without a body; of others it would say that it comes in pieces. */
const bodiless: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"]);

function lengthOfNothing(request: IncomingMessage): string[] {
  const isSaid = hasBody(request) || "content-length" in request.headers;
  return isSaid || bodiless.has(request.method ?? "GET") ? [] : ["Content-Length", "0"];
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
    // A server that has answered need not read the rest. (A pipeline would then take the request from its connection.)
    else request.on("data", countBytes).on("error", reject).pipe(asking);
  });
}
