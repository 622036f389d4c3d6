/** Commits a filesystem: what a snapshot has over its base image becomes one layer of a new, named image. */
import { randomUUID } from "node:crypto";
import type { Image, ImageConfig } from "../image/image.js";
import { DomainError } from "../lib/errors.js";
import type { Connection } from "./connection.js";
import { openContent } from "./content.js";
import { openDiffs } from "./diff.js";
import { cannot, withCleanUp } from "./errors.js";
import {
  type ConfigFile,
  chainId,
  type Descriptor,
  type Manifest,
  mediaTypes,
  type Platform,
  sha256,
} from "./image-format.js";
import { openImages, type ResolvedImage } from "./images.js";
import { withLease } from "./leases.js";
import { isShifted, readOnlyMounts } from "./mounts.js";
import { parseImageName } from "./reference.js";
import { type NewSnapshot, openSnapshots, type Snapshots, snapshotter } from "./snapshots.js";

/** What the new image's config says otherwise than its base's. */
export type ConfigChanges = Partial<Pick<ImageConfig, "env" | "user" | "cwd" | "entrypoint" | "cmd">>;

export interface CommitRequest {
  readonly name: string;
  /** Image that the snapshot's chain begins with. */
  readonly base: string;
  /** Unshifted; committed, or active and not written to meanwhile. */
  readonly snapshotKey: string;
  /** History line of the new layer. */
  readonly createdBy: string;
  readonly comment?: string;
  readonly changes?: ConfigChanges;
  readonly labels?: Readonly<Record<string, string>>;
  readonly createdAt: Date;
}

/** Makes the image, unpacked and ready to start from. An image of that name is replaced. */
export async function commitImage(
  connection: Connection,
  request: CommitRequest & { readonly platform: Platform },
  signal?: AbortSignal,
): Promise<Image> {
  parseImageName(request.name);
  try {
    return await withLease(connection, (leased) => commitLeased(leased, request, signal), signal);
  } catch (err) {
    throw cannot(`commit snapshot ${request.snapshotKey} as image ${request.name}`, err);
  }
}

async function commitLeased(
  connection: Connection,
  request: CommitRequest & { readonly platform: Platform },
  signal?: AbortSignal,
): Promise<Image> {
  const images = openImages(connection, request);
  const base = await images.resolve(request.base, signal);
  const layer = await packLayer(
    connection,
    { base: base.topSnapshot, snapshotKey: request.snapshotKey },
    signal,
  );
  const config = committedConfig(base.config, { ...request, diffId: layer.diffId });
  const topSnapshot = await unpackLayer(connection, { ...layer, base: base.config }, signal);
  const target = await writeImage(connection, { base, layer: layer.descriptor, config, topSnapshot }, signal);
  const labels = { "ramet.image": "committed", ...request.labels };
  await images.put({ name: request.name, target, labels }, signal);
  return await images.get(request.name, signal);
}

interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

async function packLayer(
  connection: Connection,
  { base, snapshotKey }: { base: string; snapshotKey: string },
  signal?: AbortSignal,
): Promise<Layer> {
  const snapshots = openSnapshots(connection);
  const prefix = `ramet-commit-${randomUUID()}`;
  const views = { lower: `${prefix}-lower`, upper: `${prefix}-upper` };
  // After a crash the lease keeps them for hours, and the snapshot under them with them: a start removes what is labelled.
  const temporary = { isRoot: false, labels: { "ramet.commit": prefix } };
  return await withCleanUp(
    async () => {
      const lower = await snapshots.view({ key: views.lower, parent: base, ...temporary }, signal);
      const view = { key: views.upper, of: snapshotKey, ...temporary };
      const upper = await readOnlyView(snapshots, view, signal);
      const descriptor = await openDiffs(connection).create({ lower, upper }, signal);
      const { labels } = await openContent(connection).info(descriptor.digest, signal);
      const diffId = labels["containerd.io/uncompressed"];
      if (diffId === undefined)
        throw new DomainError("internal", `layer ${descriptor.digest} has no diff id`);
      return { descriptor, diffId };
    },
    async () => {
      await snapshots.remove(views.lower);
      await snapshots.remove(views.upper);
    },
  );
}

interface ReadOnlyView extends Omit<NewSnapshot, "parent"> {
  readonly of: string;
}

async function readOnlyView(
  snapshots: Snapshots,
  { of: parent, ...view }: ReadOnlyView,
  signal?: AbortSignal,
) {
  const { kind, labels } = await snapshots.stat(parent, signal);
  if (isShifted(labels))
    throw new DomainError("failed_precondition", `snapshot ${parent} has shifted owners on disk`, {
      hint: "commit an unshifted copy of it",
    });
  if (kind === "committed") return await snapshots.view({ ...view, parent }, signal);
  return readOnlyMounts(await snapshots.mounts(parent, signal));
}

/** Unpacks the layer on the base's snapshot under its chain id, as containerd does for a pulled image. */
async function unpackLayer(
  connection: Connection,
  { descriptor, diffId, base }: Layer & { base: ConfigFile },
  signal?: AbortSignal,
): Promise<string> {
  const snapshots = openSnapshots(connection);
  const name = chainId([...base.rootfs.diff_ids, diffId]);
  const key = `ramet-unpack-${randomUUID()}`;
  const mounts = await snapshots.prepare(
    { key, parent: chainId(base.rootfs.diff_ids), isRoot: false },
    signal,
  );
  try {
    const applied = await openDiffs(connection).apply(descriptor, mounts, signal);
    if (applied.digest !== diffId)
      throw new DomainError(
        "internal",
        `layer ${descriptor.digest} unpacks to ${applied.digest}, not to ${diffId}`,
      );
    await snapshots.commit({ key, name, isRoot: false }, signal);
  } catch (err) {
    // What cannot be removed now goes with the lease.
    await snapshots.remove(key).catch(() => {});
    // The same layer on the same base: another commit has unpacked it already.
    if (!(err instanceof DomainError && err.code === "already_exists")) throw err;
  }
  return name;
}

interface NewImage {
  readonly base: ResolvedImage;
  readonly layer: Descriptor;
  readonly config: ConfigFile;
  readonly topSnapshot: string;
}

/** Labels tell the garbage collector what the manifest and the config refer to. */
async function writeImage(
  connection: Connection,
  image: NewImage,
  signal?: AbortSignal,
): Promise<Descriptor> {
  const content = openContent(connection);
  const write = async (
    mediaType: string,
    value: object,
    labels: Record<string, string>,
  ): Promise<Descriptor> => {
    const data = new TextEncoder().encode(JSON.stringify(value));
    const descriptor = { mediaType, digest: sha256(data), size: data.byteLength };
    await content.write({ digest: descriptor.digest, sizeBytes: descriptor.size, labels, data }, signal);
    return descriptor;
  };
  const config = await write(mediaTypes.config, image.config, {
    [`containerd.io/gc.ref.snapshot.${snapshotter}`]: image.topSnapshot,
  });
  const manifest = committedManifest(image.base.manifest, config, image.layer);
  return await write(mediaTypes.manifest, manifest, {
    "containerd.io/gc.ref.content.config": config.digest,
    ...Object.fromEntries(
      manifest.layers.map(({ digest }, at) => [`containerd.io/gc.ref.content.l.${at}`, digest]),
    ),
  });
}

/** Docker's layer types in OCI's words: the new manifest is an OCI one. */
const ociLayerType: Readonly<Record<string, string>> = {
  "application/vnd.docker.image.rootfs.diff.tar": mediaTypes.layer,
  "application/vnd.docker.image.rootfs.diff.tar.gzip": mediaTypes.layerGzip,
};

export function committedManifest(base: Manifest, config: Descriptor, layer: Descriptor) {
  const layers = [...base.layers, layer].map(({ mediaType, digest, size }) => ({
    mediaType: ociLayerType[mediaType] ?? mediaType,
    digest,
    size,
  }));
  return { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers };
}

export interface ConfigCommit extends Pick<CommitRequest, "createdBy" | "comment" | "changes" | "createdAt"> {
  readonly diffId: string;
}

/** The base's config with the new layer, its history line, and the changes; variables are merged by name. */
export function committedConfig(base: ConfigFile, commit: ConfigCommit): ConfigFile {
  const { changes = {}, createdBy, comment, diffId } = commit;
  const created = commit.createdAt.toISOString();
  const line = { created, created_by: createdBy, ...(comment === undefined ? {} : { comment }) };
  return {
    ...base,
    created,
    config: {
      ...base.config,
      Env: mergeVariables(base.config.Env, changes.env ?? {}),
      ...(changes.user === undefined ? {} : { User: changes.user }),
      ...(changes.cwd === undefined ? {} : { WorkingDir: changes.cwd }),
      ...(changes.entrypoint === undefined ? {} : { Entrypoint: [...changes.entrypoint] }),
      ...(changes.cmd === undefined ? {} : { Cmd: [...changes.cmd] }),
    },
    rootfs: { type: "layers", diff_ids: [...base.rootfs.diff_ids, diffId] },
    history: [...base.history, line],
  };
}

function mergeVariables(base: readonly string[], changes: Readonly<Record<string, string>>): string[] {
  const kept = base.filter((variable) => !Object.hasOwn(changes, variable.split("=", 1)[0] ?? ""));
  return [...kept, ...Object.entries(changes).map(([name, value]) => `${name}=${value}`)];
}
