/** Imports an OCI archive, or one written by `docker save`, through containerd's transfer service. */
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { ImageImportStreamSchema } from "../gen/containerd/types/transfer/importexport_pb.js";
import type { Image } from "../image/image.js";
import { DomainError, type ErrorCode, toDomainError } from "../lib/errors.js";
import { type Connection, deadlines } from "./connection.js";
import { openContent } from "./content.js";
import { packAny } from "./convert.js";
import { cannot, withCleanUp } from "./errors.js";
import { type Descriptor, type IndexEntry, manifestsFor, type Platform, parseIndex } from "./image-format.js";
import { type Images, openImages } from "./images.js";
import { withLease } from "./leases.js";
import { parseImageName } from "./reference.js";
import { openSnapshots } from "./snapshots.js";
import { sendBytes } from "./streaming.js";
import { type ImageProgress, transfer, unpackedImage } from "./transfer.js";

export interface Archive {
  /** For messages, e.g. its path. */
  readonly label: string;
  readonly data: AsyncIterable<Uint8Array>;
  /** 0 when unknown. */
  readonly totalBytes: number;
}

export interface ImportRequest {
  readonly archive: Archive;
  /** Absent takes the names that the archive's index gives. */
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly onProgress?: (progress: ImageProgress) => void;
}

/** Opens an archive on disk. `not_found` and `invalid_argument` say what is wrong with the path. */
export async function openArchive(path: string): Promise<Archive> {
  const found = await stat(path).catch((err: unknown) => {
    throw new DomainError(
      "not_found",
      `cannot read archive ${path}: ${toDomainError(err, "its file").message}`,
      {
        cause: err,
      },
    );
  });
  if (!found.isFile())
    throw new DomainError("invalid_argument", `cannot read archive ${path}: not a regular file`);
  return { label: path, data: fileBytes(path), totalBytes: found.size };
}

/** Opens the file when the first bytes are asked for, and closes it when no more are. */
async function* fileBytes(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: 256 * 1024 });
}

/**
 * Imports the archive and gives the images it named, unpacked. The archive is streamed; containerd computes the
 * digest of every blob itself, so one that was changed is missing from its manifest and is refused.
 * `invalid_argument` for an archive that is broken, for another platform, or without a name; nothing stays then.
 */
export async function importArchive(
  connection: Connection,
  request: ImportRequest & { readonly platform: Platform },
  signal?: AbortSignal,
): Promise<Image[]> {
  if (request.name !== undefined) parseImageName(request.name);
  try {
    return await withLease(connection, (leased) => importLeased(leased, request, signal), signal);
  } catch (err) {
    const error = toDomainError(err);
    const blamed = archiveFaults.includes(error.code) ? blameArchive(error) : error;
    throw cannot(`import ${request.archive.label}`, blamed);
  }
}

/** containerd reports most faults of an archive as unclassified, or as something that it could not find. */
const archiveFaults: readonly ErrorCode[] = [
  "internal",
  "not_found",
  "failed_precondition",
  "already_exists",
];

function blameArchive(error: DomainError): DomainError {
  return new DomainError("invalid_argument", `not a usable image archive: ${error.message}`, {
    cause: error,
    hint: "make it with `skopeo copy … oci-archive:FILE`, `umoci` or `docker save`",
  });
}

async function importLeased(
  connection: Connection,
  request: ImportRequest & { readonly platform: Platform },
  signal?: AbortSignal,
): Promise<Image[]> {
  const { platform, archive } = request;
  const images = openImages(connection, { platform });
  const staged = `ramet.invalid/import:${randomUUID()}`;
  return await withCleanUp(
    async () => {
      await transferArchive(connection, { ...request, staged }, signal);
      const { target } = await images.record(staged, signal);
      const index = parseIndex(await openContent(connection).readBytes(target.digest, signal));
      const named = nameManifests(manifestsFor(index, platform), index.manifests, request.name);
      const imported = await adoptAll(connection, { images, named, labels: request.labels ?? {} }, signal);
      request.onProgress?.({ phase: "done", doneBytes: archive.totalBytes, totalBytes: archive.totalBytes });
      return imported;
    },
    () => images.delete(staged).catch(ignoreMissing),
  );
}

function ignoreMissing(err: unknown): void {
  if (toDomainError(err).code !== "not_found") throw err;
}

/** Sends the archive; the whole index becomes one staged image, which expires by itself after a crash. */
async function transferArchive(
  connection: Connection,
  request: ImportRequest & { readonly platform: Platform; readonly staged: string },
  signal?: AbortSignal,
): Promise<void> {
  const { archive, platform, staged, onProgress } = request;
  const { totalBytes } = archive;
  const over = new AbortController();
  const both = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  let doneBytes = 0;
  const onSent = (bytes: number) => {
    doneBytes += bytes;
    onProgress?.({ phase: doneBytes === totalBytes ? "unpacking" : "receiving", doneBytes, totalBytes });
  };
  try {
    const stream = await sendBytes(connection, { data: archive.data, onSent }, both);
    // A source that cannot be read must not look like the archive's end.
    stream.ended.catch((err: unknown) => over.abort(toDomainError(err, `reading ${archive.label}`)));
    const expiry = { "containerd.io/gc.expire": new Date(Date.now() + deadlines.transfer).toISOString() };
    const source = packAny(ImageImportStreamSchema, { stream: stream.id });
    await transfer(
      connection,
      { source, destination: unpackedImage({ name: staged, labels: expiry }, platform) },
      both,
    );
  } finally {
    over.abort();
  }
}

interface Named {
  readonly name: string;
  readonly target: Descriptor;
}

/** Annotations with a full name (containerd, docker) win over those that may be a mere tag (OCI). */
const nameAnnotations = ["io.containerd.image.name", "org.opencontainers.image.ref.name"] as const;

/** Which names the manifests get; an archive may name one manifest several times. */
export function nameManifests(
  usable: readonly IndexEntry[],
  all: readonly IndexEntry[],
  name?: string,
): Named[] {
  const [only, ...others] = usable;
  if (only === undefined)
    throw new DomainError("invalid_argument", "the archive has no image for this machine's platform");
  if (name !== undefined) {
    if (others.length > 0)
      throw new DomainError(
        "invalid_argument",
        `the archive has ${usable.length} images, one name does not do`,
        {
          hint: "leave the name out to take the archive's own names",
        },
      );
    return [{ name, target: plain(only) }];
  }
  const digests = new Set(usable.map(({ digest }) => digest));
  const named = all
    .filter(({ digest }) => digests.has(digest))
    .flatMap((entry) => {
      const found = nameAnnotations
        .map((key) => entry.annotations[key])
        .find((it) => it !== undefined && it !== "");
      return found === undefined ? [] : [{ name: parseImageName(found), target: plain(entry) }];
    });
  if (named.length === 0)
    throw new DomainError("invalid_argument", "the archive does not name its image", {
      hint: "give it one with --name",
    });
  return named;
}

function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

interface Adoption {
  readonly images: Images;
  readonly named: readonly Named[];
  readonly labels: Readonly<Record<string, string>>;
}

/** Gives the manifests their names, once every one is known to be whole and unpacked. */
async function adoptAll(
  connection: Connection,
  { images, named, labels }: Adoption,
  signal?: AbortSignal,
): Promise<Image[]> {
  const snapshots = openSnapshots(connection);
  const checked: Array<Named & { readonly image: Image }> = [];
  for (const it of named) {
    const { image, topSnapshot } = await images.inspect(it, signal);
    await snapshots.stat(topSnapshot, signal);
    checked.push({ ...it, image });
  }
  const adopted: Image[] = [];
  for (const { name, target, image } of checked) {
    const record = { name, target, labels: { "ramet.image": "imported", ...labels } };
    adopted.push({ ...image, createdAt: (await images.put(record, signal)).createdAt });
  }
  return adopted;
}
