/** POST /files: files as they come, as one body or as the parts of a form. */
import type { IncomingMessage } from "node:http";
import { createGunzip } from "node:zlib";
import { DomainError } from "../lib/errors.js";
import type { FileInfo } from "../node/files.js";
import type { EnvdDeps, Exchange } from "./deps.js";
import { metadataPrefix } from "./entry.js";
import { invalid } from "./failure.js";
import { readForm } from "./form.js";
import { answerJson } from "./http.js";
import { metadataOf } from "./metadata.js";
import { placeOf, shown } from "./place.js";
import { checkUser } from "./user.js";

export async function upload(deps: EnvdDeps, exchange: Exchange, signal: AbortSignal): Promise<void> {
  const { request, response, url, target } = exchange;
  const path = url.searchParams.get("path") ?? "";
  const into = {
    sandbox: target.sandbox,
    user: checkUser(url.searchParams.get("username") ?? ""),
    metadata: metadataOf(request.headers),
    taken: new Set<string>(),
  };
  const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
  const write = (to: string, data: AsyncIterable<Uint8Array>) => writeFile(deps, into, { to, data }, signal);
  const body = contentOf(request);
  try {
    if (type === "multipart/form-data") {
      const written = await readForm(request.headers, body, (name, data) => write(named(path || name), data));
      answerJson(response, 200, written);
    } else if (type === "application/octet-stream") {
      answerJson(response, 200, [await write(named(path), body)]);
    } else
      throw invalid(
        `cannot read ${JSON.stringify(type)}: send multipart/form-data or application/octet-stream`,
      );
  } finally {
    // What is left of it is of no use, but a client may read no answer before it has sent all.
    request.resume();
  }
}

function named(path: string): string {
  if (path === "") throw invalid("the query has to name the file: path is missing");
  return path;
}

interface Into {
  readonly sandbox: string;
  readonly user: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** By files of the same request: what would be written over is somebody's mistake. */
  readonly taken: Set<string>;
}

async function writeFile(
  { node }: EnvdDeps,
  { metadata, taken, ...who }: Into,
  { to, data }: { readonly to: string; readonly data: AsyncIterable<Uint8Array> },
  signal: AbortSignal,
) {
  const place = await placeOf(node, who, to, signal);
  if (taken.has(place.path))
    throw invalid(`two files of the upload are for ${shown(place.path)}; the first is written`);
  taken.add(place.path);
  const file = await node.files.write(place, { mode: 0o666, parents: true, inPlace: true }, data, signal);
  await node.files.setAttributes(place, metadataPrefix, metadata, signal);
  return written(file, metadata);
}

/** Clients compare it whole. */
function written({ path, name }: FileInfo, metadata: Into["metadata"]) {
  const attached = Object.keys(metadata).length === 0 ? {} : { metadata };
  return { path, name, type: "file", ...attached };
}

/** The request itself stays open whatever becomes of its body: the answer goes over the same connection. */
function contentOf(request: IncomingMessage): AsyncIterable<Uint8Array> {
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  if (encoding === "identity") return request.iterator({ destroyOnReturn: false });
  if (encoding !== "gzip")
    throw new DomainError("invalid_argument", `cannot read content encoding ${JSON.stringify(encoding)}`, {
      hint: "send the file as it is, or as gzip",
    });
  return unpack(request);
}

/** A body that is no gzip is the client's fault. */
async function* unpack(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  const unpacked = createGunzip();
  const cutOff = () => unpacked.destroy(new Error("the body was cut off"));
  request.once("close", cutOff);
  request.once("end", () => request.off("close", cutOff));
  try {
    yield* request.pipe(unpacked);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DomainError("invalid_argument", `cannot unpack the body: ${why}`, { cause });
  } finally {
    request.unpipe(unpacked);
    unpacked.destroy();
  }
}
