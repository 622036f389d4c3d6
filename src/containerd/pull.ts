/** Pulls an image from a registry through containerd's transfer service. */
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  AuthRequestSchema,
  AuthResponseSchema,
  AuthType,
  OCIRegistrySchema,
} from "../gen/containerd/types/transfer/registry_pb.js";
import type { Image } from "../image/image.js";
import { DomainError, type ErrorCode, toDomainError } from "../lib/errors.js";
import type { Connection } from "./connection.js";
import { packAny, unpackAny } from "./convert.js";
import { cannot } from "./errors.js";
import type { Platform } from "./image-format.js";
import { openImages } from "./images.js";
import { withLease } from "./leases.js";
import { openQueue } from "./queue.js";
import { completeReference } from "./reference.js";
import { openStream } from "./streaming.js";
import { type ImageProgress, type TransferEvent, transfer, unpackedImage } from "./transfer.js";

export interface Credentials {
  readonly username: string;
  readonly secret: string;
}

export interface PullRequest {
  /** Completed as docker does: `debian:12` is `docker.io/library/debian:12`. */
  readonly reference: string;
  /** Sent to containerd only, when the registry asks; never logged, never stored. */
  readonly credentials?: Credentials;
  /** Talks HTTP without TLS to the registry. */
  readonly plainHttp?: boolean;
  /** Directory of `hosts.toml` files in containerd's layout. */
  readonly hostsDirectory?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly onProgress?: (progress: ImageProgress) => void;
}

/** Pulls and unpacks; gives the image under its completed reference. A pull that fails leaves nothing. */
export async function pullImage(
  connection: Connection,
  request: PullRequest & { readonly platform: Platform },
  signal?: AbortSignal,
): Promise<Image> {
  const name = completeReference(request.reference);
  try {
    return await withLease(connection, (leased) => pullLeased(leased, { ...request, name }, signal), signal);
  } catch (err) {
    throw cannot(`pull ${name}`, blameRegistry(toDomainError(err)));
  }
}

const registryFaults: ReadonlyArray<{ pattern: RegExp; code: ErrorCode; hint: string }> = [
  {
    pattern: /\b40[13]\b|unauthorized|forbidden|authorization failed|access denied/i,
    code: "failed_precondition",
    hint: "give credentials that may read this repository",
  },
  {
    pattern: /server gave HTTP response to HTTPS client|tls: /,
    code: "failed_precondition",
    hint: "the registry's TLS does not work from here; for one without TLS ask for plain HTTP",
  },
  {
    pattern: /dial tcp|no such host|connection (refused|reset)|timeout|\b(429|50[0234])\b/i,
    code: "unavailable",
    hint: "check the registry's name and that this machine reaches it",
  },
];

/** containerd reports what registries and networks do as unclassified. */
export function blameRegistry(error: DomainError): DomainError {
  if (error.code !== "internal") return error;
  const fault = registryFaults.find(({ pattern }) => pattern.test(error.message));
  return fault === undefined
    ? error
    : new DomainError(fault.code, error.message, { cause: error, hint: fault.hint });
}

type NamedPull = PullRequest & { readonly platform: Platform; readonly name: string };

async function pullLeased(connection: Connection, request: NamedPull, signal?: AbortSignal): Promise<Image> {
  const { name, platform, labels = {}, onProgress = () => {} } = request;
  const over = new AbortController();
  const both = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const sum = sumProgress();
  try {
    const source = await registrySource(connection, request, both);
    const destination = unpackedImage({ name, labels: { "ramet.image": "pulled", ...labels } }, platform);
    await transfer(connection, { source, destination, onEvent: (event) => onProgress(sum(event)) }, both);
  } finally {
    over.abort();
  }
  const image = await openImages(connection, { platform }).get(name, signal);
  onProgress({ phase: "done", doneBytes: image.sizeBytes, totalBytes: image.sizeBytes });
  return image;
}

async function registrySource(connection: Connection, request: NamedPull, signal: AbortSignal) {
  const { name, credentials, plainHttp = false, hostsDirectory = "" } = request;
  const authStream =
    credentials === undefined ? "" : await answerCredentials(connection, credentials, signal);
  const defaultScheme = plainHttp ? "http" : "";
  return packAny(OCIRegistrySchema, {
    reference: name,
    resolver: { authStream, defaultScheme, hostDir: hostsDirectory },
  });
}

/** Answers every question of the registry's host for credentials, until the pull is over. */
async function answerCredentials(
  connection: Connection,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<string> {
  const outgoing = openQueue<ReturnType<typeof packAny>>();
  const { id, received } = await openStream(connection, outgoing, signal);
  const answer = packAny(AuthResponseSchema, { authType: AuthType.CREDENTIALS, ...credentials });
  void answerAll(received, () => outgoing.push(answer)).finally(() => outgoing.end());
  return id;
}

/** The stream ends with the pull, whose own answer tells what went wrong. */
async function answerAll(received: AsyncIterable<Any>, answer: () => void): Promise<void> {
  try {
    for await (const any of received) if (unpackAny(any, AuthRequestSchema) !== undefined) answer();
  } catch {
    return;
  }
}

/** Adds up what containerd reports blob by blob. */
export function sumProgress(): (event: TransferEvent) => ImageProgress {
  const blobs = new Map<string, TransferEvent>();
  return (event) => {
    if (event.totalBytes > 0) blobs.set(event.name, event);
    const all = [...blobs.values()];
    const doneBytes = all.reduce((sum, it) => sum + it.doneBytes, 0);
    const totalBytes = all.reduce((sum, it) => sum + it.totalBytes, 0);
    return {
      phase: totalBytes > 0 && doneBytes >= totalBytes ? "unpacking" : "receiving",
      doneBytes,
      totalBytes,
    };
  };
}
