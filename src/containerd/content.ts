/** containerd's content store: blobs by digest. */
import {
  type Info,
  Content as Service,
  WriteAction,
} from "../gen/containerd/services/content/v1/content_pb.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { type Connection, deadlines } from "./connection.js";
import { dateOrEpoch, labelPaths } from "./convert.js";
import { attempt, attemptRemoval, cannot, present } from "./errors.js";

export interface Blob {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly createdAt: Date;
  readonly labels: Readonly<Record<string, string>>;
}

export interface WriteRequest {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly data: Uint8Array | AsyncIterable<Uint8Array>;
}

export interface Content {
  info(digest: string, signal?: AbortSignal): Promise<Blob>;
  list(filters: readonly string[], signal?: AbortSignal): Promise<Blob[]>;
  /**
   * Stores a blob; one that is there already gets the labels only. Without a lease the garbage collector may
   * take it before something refers to it. `failed_precondition` when size or digest differ from what was told.
   */
  write(request: WriteRequest, signal?: AbortSignal): Promise<void>;
  read(digest: string, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** The whole blob; `invalid_argument` above 16 MiB, which no manifest or config reaches. */
  readBytes(digest: string, signal?: AbortSignal): Promise<Uint8Array>;
  setLabels(digest: string, labels: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Blob>;
  delete(digest: string, signal?: AbortSignal): Promise<void>;
}

const readBytesMax = 16 * 1024 * 1024;
const chunkBytes = 1024 * 1024;

export function openContent(connection: Connection): Content {
  const calls = connection.service(Service);
  const setLabels: Content["setLabels"] = (digest, labels, signal) =>
    attempt(`label blob ${digest}`, async () => {
      const request = { info: { digest, labels: { ...labels } }, updateMask: labelPaths(labels) };
      return blobOf((await calls.update(request, { signal })).info);
    });
  async function* read(digest: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      const options = { signal, timeoutMs: deadlines.layer };
      for await (const { data } of calls.read({ digest, offset: 0n, size: 0n }, options)) yield data;
    } catch (err) {
      throw cannot(`read blob ${digest}`, err);
    }
  }
  const info: Content["info"] = (digest, signal) =>
    attempt(`look up blob ${digest}`, async () => blobOf((await calls.info({ digest }, { signal })).info));
  return {
    info,
    setLabels,
    read,
    list: (filters, signal) =>
      attempt("list blobs", async () => {
        const blobs: Blob[] = [];
        const options = { signal, timeoutMs: deadlines.act };
        for await (const page of calls.list({ filters: [...filters] }, options))
          blobs.push(...page.info.map(blobOf));
        return blobs;
      }),
    async write(request, signal) {
      try {
        const options = { signal, timeoutMs: deadlines.layer };
        await committed(calls.write(writeMessages(request), options));
      } catch (err) {
        if (!isDomainError(err, "already_exists")) throw cannot(`write blob ${request.digest}`, err);
        await setLabels(request.digest, request.labels ?? {}, signal);
      }
    },
    async readBytes(digest, signal) {
      const { sizeBytes } = await info(digest, signal);
      if (sizeBytes > readBytesMax)
        throw new DomainError(
          "invalid_argument",
          `blob ${digest} of ${sizeBytes} bytes is too large to be metadata`,
        );
      const chunks: Uint8Array[] = [];
      for await (const chunk of read(digest, signal)) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
    delete: (digest, signal) =>
      attemptRemoval(`delete blob ${digest}`, () => calls.delete({ digest }, { signal })),
  };
}

/** The request stream ends at the commit, so the last answer is the commit's. */
async function committed(answers: AsyncIterable<{ action: WriteAction }>): Promise<void> {
  let last: WriteAction | undefined;
  for await (const { action } of answers) last = action;
  if (last !== WriteAction.COMMIT)
    throw new DomainError("internal", "containerd ended the write before its commit");
}

async function* writeMessages({ digest, sizeBytes, labels, data }: WriteRequest) {
  const head = { ref: `ramet-${digest}`, total: BigInt(sizeBytes), expected: digest };
  yield { ...head, action: WriteAction.STAT };
  let offset = 0;
  for await (const chunk of chunksOf(data)) {
    yield { ...head, action: WriteAction.WRITE, offset: BigInt(offset), data: chunk };
    offset += chunk.byteLength;
  }
  yield { ...head, action: WriteAction.COMMIT, offset: BigInt(offset), labels: { ...labels } };
}

async function* chunksOf(data: WriteRequest["data"]): AsyncGenerator<Uint8Array> {
  for await (const piece of data instanceof Uint8Array ? [data] : data) {
    for (let at = 0; at < piece.byteLength; at += chunkBytes) yield piece.subarray(at, at + chunkBytes);
  }
}

function blobOf(info: Info | undefined): Blob {
  const { digest, size, createdAt, labels } = present(info, "the blob");
  return { digest, sizeBytes: Number(size), createdAt: dateOrEpoch(createdAt), labels };
}
