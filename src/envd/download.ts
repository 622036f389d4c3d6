/** GET /files: the contents of a file, whole or a range, as they are read. */
import type { ServerResponse } from "node:http";
import { posix } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { createBell } from "../lib/bell.js";
import type { FileInfo, FileRef } from "../node/files.js";
import { acceptable, isOfSame, isUnchanged, parseRange, type Range } from "./content.js";
import type { EnvdDeps, Exchange } from "./deps.js";
import { invalid } from "./failure.js";
import { answerJson } from "./http.js";
import { placeOf, shown } from "./place.js";
import { checkUser } from "./user.js";

export async function download({ node }: EnvdDeps, exchange: Exchange, signal: AbortSignal): Promise<void> {
  const { request, response, url, target } = exchange;
  const user = checkUser(url.searchParams.get("username") ?? "");
  const path = url.searchParams.get("path") ?? "";
  const place = await placeOf(node, { sandbox: target.sandbox, user }, path, signal);
  const file = await node.files.stat(place, { follow: true }, signal);
  if (file.type === "directory") throw invalid(`path ${shown(path)} is a directory`);
  if (file.type !== "regular") throw invalid(`path ${shown(path)} is not a regular file`);
  if (isUnchanged(request.headers["if-modified-since"], file.modifiedAt)) {
    response.writeHead(304, { "Last-Modified": file.modifiedAt.toUTCString() }).end();
    return;
  }
  const codings = acceptable(request.headers["accept-encoding"]);
  if (!codings.identity && !codings.gzip) {
    answerJson(response, 406, { code: 406, message: "a file is sent as it is, or as gzip" });
    return;
  }
  const isSame = isOfSame([request.headers["if-range"] ?? []].flat()[0], file.modifiedAt);
  const range = isSame ? parseRange(request.headers.range, file.sizeBytes) : undefined;
  if (range === "unsatisfiable") {
    response.setHeader("Content-Range", `bytes */${file.sizeBytes}`);
    answerJson(response, 416, { code: 416, message: `${shown(path)} has ${file.sizeBytes} bytes` });
    return;
  }
  describe(exchange, file);
  const isPacked = range === undefined && codings.gzip && (codings.prefersGzip || !codings.identity);
  await send({ node }, exchange, { place, file, range, isPacked }, signal);
}

function describe({ response, url }: Exchange, { modifiedAt, path }: FileInfo): void {
  const name = posix.basename(url.searchParams.get("path") || path);
  response.setHeader("Content-Type", "application/octet-stream");
  response.setHeader("Content-Disposition", `inline; filename*=UTF-8''${encodeURIComponent(name)}`);
  response.setHeader("Last-Modified", modifiedAt.toUTCString());
  response.setHeader("Accept-Ranges", "bytes");
  response.setHeader("Vary", "Accept-Encoding");
}

interface Sending {
  readonly place: FileRef;
  readonly file: FileInfo;
  readonly range: Range | undefined;
  readonly isPacked: boolean;
}

async function send(
  { node }: Pick<EnvdDeps, "node">,
  { response }: Exchange,
  { place, file, range, isPacked }: Sending,
  signal: AbortSignal,
): Promise<void> {
  // Files of /proc say that they are empty, and are not.
  const said = range?.length ?? (file.sizeBytes === 0 ? undefined : file.sizeBytes);
  const wanted = { offset: range?.offset ?? 0, ...(said === undefined ? {} : { length: said }) };
  const { data } = await node.files.read(place, wanted, signal);
  // Those of /sys say that they have a page, and have less: what is small is read before its length is told.
  const isSmall = range === undefined && said !== undefined && said <= pageBytes;
  const small = isSmall ? await collect(data) : undefined;
  const size = small?.length ?? said;
  const pieces = (small === undefined ? data : just(small))[Symbol.asyncIterator]();
  // An answer that cannot even begin is a failure with a status.
  const first = await pieces.next();
  if (range !== undefined)
    response.setHeader(
      "Content-Range",
      `bytes ${range.offset}-${range.offset + range.length - 1}/${file.sizeBytes}`,
    );
  const length = size ?? (first.done === true ? 0 : undefined);
  if (isPacked) response.setHeader("Content-Encoding", "gzip");
  else if (length !== undefined) response.setHeader("Content-Length", length);
  response.writeHead(range === undefined ? 200 : 206);
  const content = exactly(first, pieces, length);
  await (isPacked
    ? pipeline(content, createGzip(), response, { signal })
    : sendAll(content, response, signal));
}

const pageBytes = 4096;

async function collect(data: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of data) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* just(piece: Uint8Array): AsyncGenerator<Uint8Array> {
  yield piece;
}

/** As a pipeline, with no stream between the pieces and the answer. */
async function sendAll(
  content: AsyncIterable<Uint8Array>,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const moved = createBell();
  response.on("drain", moved.ring);
  for await (const piece of content) {
    signal.throwIfAborted();
    if (!response.write(piece)) await moved.rung(signal);
  }
  response.end();
}

/** A file that is shorter by now breaks the answer off: its length has been told. */
async function* exactly(
  first: IteratorResult<Uint8Array, unknown>,
  pieces: AsyncIterator<Uint8Array>,
  length: number | undefined,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  try {
    for (let next = first; next.done !== true; next = await pieces.next()) {
      bytes += next.value.length;
      yield next.value;
    }
    if (length !== undefined && bytes < length)
      throw new Error(`the file ended after ${bytes} of ${length} bytes`);
  } finally {
    await pieces.return?.();
  }
}
