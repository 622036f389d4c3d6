/** What of an HTTP message goes on to somebody else, and how the other version of HTTP has it. */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";

/** Of one message's head, in both versions of HTTP; Node's own for HTTP/1.1 is 16 KiB. */
export const headerBytesMax = 64 * 1024;
/** Between registry and node, who add a little to what was let through. */
export const headerBytesBetween = 2 * headerBytesMax;
/** Node's own number of lines is 1,000; what is beyond it would be left out without a word. */
export const anyNumber = 0;

export interface HeaderOptions {
  /** In lower case; added to what the client has sent, and in place of the same from it. */
  readonly add?: Readonly<Record<string, string>>;
  /** In place of the client's, which goes into `X-Forwarded-Host`. */
  readonly host?: string;
}

/** Whether the message has a body; one that has none can be sent again. */
export function hasBody(request: IncomingMessage): boolean {
  if (isHttp2(request)) return !endsWithHeaders(request);
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  return coding !== undefined || (length !== undefined && length !== "0");
}

export const isHttp2 = ({ httpVersionMajor }: IncomingMessage): boolean => httpVersionMajor === 2;

/**
 * Without those that HTTP/2 has other means for (RFC 9113, 8.2.2). What says twice what is said once would be refused: the
 * first counts, and lists are joined.
 */
export function headersOfHttp2(headers: NodeJS.Dict<string | string[]>): Record<string, string | string[]> {
  const passed = passing(String(headers["connection"] ?? ""), "transfer-encoding" in headers);
  const entries = Object.entries(headers).filter(([name]) => passed(name) && !ofHttp1.has(name));
  return Object.fromEntries(entries) as Record<string, string | string[]>;
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

/**
 * Whether a header of that name in lower case goes on, by what the message says of its connection. A length beside a
 * coding says nothing (RFC 9112, 6.3).
 */
function passing(connection: string, isCoded: boolean): (name: string) => boolean {
  const named = connection.split(",").map((name) => name.trim().toLowerCase());
  return (name) =>
    !ofConnection.has(name) &&
    (!named.includes(name) || ofMessageAlone.has(name)) &&
    !(isCoded && name === "content-length");
}

export function ofMessage(raw: readonly string[]): string[] {
  const all = pairs(raw);
  const said = all.filter(([name]) => name.toLowerCase() === "connection").map(([, value]) => value);
  const isCoded = all.some(([name]) => name.toLowerCase() === "transfer-encoding");
  const passed = passing(said.join(), isCoded);
  return all.filter(([name]) => passed(name.toLowerCase())).flat();
}

export function pairs(raw: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) found.push([raw[at] ?? "", raw[at + 1] ?? ""]);
  return found;
}

/** As HTTP/1.1 has them, whichever version they came in: one host, and one line of cookies (RFC 9113, 8.2.3 and 8.3.1). */
export function headersOf(request: IncomingMessage): string[] {
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

export function headersFor(sent: readonly string[], { host, add = {} }: HeaderOptions): string[] {
  const own = pairs(sent).filter(([name]) => !(name.toLowerCase() in add));
  const headers = [...own.flat(), ...Object.entries(add).flat()];
  if (host === undefined) return headers;
  return pairs(headers).flatMap(([name, value]) =>
    name.toLowerCase() === "host" ? ["Host", host, "X-Forwarded-Host", value] : [name, value],
  );
}
