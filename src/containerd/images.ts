/** Images: names in containerd's image store for manifests in its content store. */
import { type Image as Record_, Images as Service } from "../gen/containerd/services/images/v1/images_pb.js";
import type { Image } from "../image/image.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { type Connection, deadlines, uninterrupted } from "./connection.js";
import { type Content, openContent } from "./content.js";
import { dateOrEpoch, descriptorInit, descriptorOf } from "./convert.js";
import { attempt, attemptRemoval, cannot, present } from "./errors.js";
import {
  type ConfigFile,
  chainId,
  type Descriptor,
  imageConfigOf,
  isIndex,
  type Manifest,
  manifestsFor,
  type Platform,
  parseConfig,
  parseIndex,
  parseManifest,
} from "./image-format.js";
import { completeReference, parseImageName } from "./reference.js";

export interface ImageRecord {
  readonly name: string;
  readonly target: Descriptor;
  readonly createdAt: Date;
  readonly labels: Readonly<Record<string, string>>;
}

/** An image with what is needed to build on it. */
export interface ResolvedImage {
  readonly image: Image;
  readonly manifest: Manifest;
  readonly config: ConfigFile;
  /** Committed snapshot that holds all its layers. */
  readonly topSnapshot: string;
}

export interface Images {
  /** Finds the image by its name as stored, or by that name completed as docker does. */
  get(name: string, signal?: AbortSignal): Promise<Image>;
  resolve(name: string, signal?: AbortSignal): Promise<ResolvedImage>;
  /** Like `resolve`, for a manifest that has no name yet. */
  inspect(target: Pick<ImageRecord, "name" | "target">, signal?: AbortSignal): Promise<ResolvedImage>;
  /** Every image that has a manifest for this machine's platform. */
  list(signal?: AbortSignal): Promise<Image[]>;
  record(name: string, signal?: AbortSignal): Promise<ImageRecord>;
  records(filters: readonly string[], signal?: AbortSignal): Promise<ImageRecord[]>;
  create(record: Omit<ImageRecord, "createdAt">, signal?: AbortSignal): Promise<ImageRecord>;
  /** Creates the name or moves it to the new target. */
  put(record: Omit<ImageRecord, "createdAt">, signal?: AbortSignal): Promise<ImageRecord>;
  /** Removes the name and, before it answers, what nothing else refers to. `not_found` when there is none. */
  delete(name: string, signal?: AbortSignal): Promise<void>;
}

export interface ImagesOptions {
  readonly platform: Platform;
}

export function openImages(connection: Connection, { platform }: ImagesOptions): Images {
  const store = openImageStore(connection);
  const content = openContent(connection);
  const describe = (record: ImageRecord, signal?: AbortSignal) =>
    resolveTarget(content, { record, platform }, signal);
  const resolve: Images["resolve"] = async (name, signal) => {
    const record = await store.record(name, signal);
    try {
      return await describe(record, signal);
    } catch (err) {
      throw cannot(`read image ${name}`, err);
    }
  };
  return {
    ...store,
    resolve,
    inspect: ({ name, target }, signal) =>
      describe({ name, target, labels: {}, createdAt: new Date(0) }, signal),
    get: async (name, signal) => (await resolve(name, signal)).image,
    async list(signal) {
      const images: Image[] = [];
      for (const record of await store.records([], signal)) {
        const resolved = await describe(record, signal).catch(skipUnusable);
        if (resolved !== undefined) images.push(resolved.image);
      }
      return images;
    },
  };
}

/** Names without content of this platform, or deleted while being listed, are not images one could use. */
function skipUnusable(err: unknown): undefined {
  if (!isDomainError(err, "not_found") && !isDomainError(err, "invalid_argument")) throw err;
}

type ImageStore = Omit<Images, "get" | "resolve" | "inspect" | "list">;

function openImageStore(connection: Connection): ImageStore {
  const calls = connection.service(Service);
  const exact = async (name: string, signal?: AbortSignal) =>
    recordOf((await calls.get({ name }, { signal })).image);
  const create: ImageStore["create"] = (record, signal) =>
    attempt(`create image ${record.name}`, async () =>
      recordOf((await calls.create({ image: recordInit(record) }, uninterrupted(signal))).image),
    );
  const find: ImageStore["record"] = async (name, signal) => {
    for (const candidate of new Set([parseImageName(name), completeReference(name)])) {
      try {
        return await exact(candidate, signal);
      } catch (err) {
        if (!isDomainError(err, "not_found")) throw cannot(`look up image ${name}`, err);
      }
    }
    throw new DomainError("not_found", `there is no image ${name}`, {
      hint: "`ramet images` lists the images",
    });
  };
  return {
    create,
    record: find,
    records: (filters, signal) =>
      attempt("list images", async () =>
        (await calls.list({ filters: [...filters] }, { signal })).images.map(recordOf),
      ),
    async put(record, signal) {
      try {
        return await create(record, signal);
      } catch (err) {
        if (!isDomainError(err, "already_exists")) throw err;
      }
      return await attempt(`move image ${record.name}`, async () =>
        recordOf((await calls.update({ image: recordInit(record) }, uninterrupted(signal))).image),
      );
    },
    async delete(name, signal) {
      const record = await find(name, signal);
      const request = { name: record.name, sync: true };
      await attemptRemoval(`delete image ${name}`, () =>
        calls.delete(request, { signal, timeoutMs: deadlines.layer }),
      );
    },
  };
}

function recordInit({ name, target, labels }: Omit<ImageRecord, "createdAt">) {
  return { name, target: descriptorInit(target), labels: { ...labels } };
}

function recordOf(image: Record_ | undefined): ImageRecord {
  const { name, target, labels, createdAt } = present(image, "the image");
  return {
    name,
    target: descriptorOf(present(target, "the image's target")),
    labels,
    createdAt: dateOrEpoch(createdAt),
  };
}

interface Target {
  readonly record: ImageRecord;
  readonly platform: Platform;
}

async function resolveTarget(
  content: Content,
  { record, platform }: Target,
  signal?: AbortSignal,
): Promise<ResolvedImage> {
  const target = await manifestOf(content, { descriptor: record.target, platform }, signal);
  const manifest = parseManifest(await content.readBytes(target.digest, signal));
  const config = parseConfig(await content.readBytes(manifest.config.digest, signal));
  if (config.os !== platform.os || config.architecture !== platform.architecture)
    throw new DomainError(
      "invalid_argument",
      `the image is for ${config.os}/${config.architecture}, this machine is ${platform.os}/${platform.architecture}`,
    );
  if (manifest.layers.length !== config.rootfs.diff_ids.length)
    throw new DomainError("invalid_argument", "the image's manifest and config disagree about its layers");
  if (manifest.layers.length === 0)
    throw new DomainError("invalid_argument", "the image has no layers: there are no files to start from");
  const sizeBytes = [target, manifest.config, ...manifest.layers].reduce((sum, { size }) => sum + size, 0);
  const { name, createdAt } = record;
  const image: Image = { name, digest: target.digest, sizeBytes, createdAt, config: imageConfigOf(config) };
  return { image, manifest, config, topSnapshot: chainId(config.rootfs.diff_ids) };
}

/** Indexes may hold indexes; deeper than this is nobody's image. */
const indexDepthMax = 4;

export async function manifestOf(
  content: Pick<Content, "readBytes">,
  { descriptor, platform }: { descriptor: Descriptor; platform: Platform },
  signal?: AbortSignal,
): Promise<Descriptor> {
  let current = descriptor;
  for (let depth = 0; depth < indexDepthMax; depth++) {
    if (!isIndex(current.mediaType)) return current;
    const [match, ...others] = manifestsFor(
      parseIndex(await content.readBytes(current.digest, signal)),
      platform,
    );
    const wanted = `${platform.os}/${platform.architecture}`;
    if (match === undefined)
      throw new DomainError("invalid_argument", `the index has no manifest for ${wanted}`);
    if (others.length > 0)
      throw new DomainError(
        "invalid_argument",
        `the index has ${others.length + 1} different manifests for ${wanted}`,
      );
    current = match;
  }
  throw new DomainError("invalid_argument", `indexes are nested more than ${indexDepthMax} deep`);
}
