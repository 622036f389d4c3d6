/** Filesystem layers of sandboxes: the active one, copies of it at one instant, and what is committed of them. */
import { rmdir } from "node:fs/promises";
import { join } from "node:path";
import { type Mount, mappingLabelsOf, upperDirectory } from "../containerd/mounts.js";
import { removePassing } from "../criu/passing.js";
import { syncTree } from "../lib/atomic-file.js";
import { settleAll } from "../lib/settle.js";
import { type Deps, labels } from "./deps.js";
import { unshiftOwners } from "./unshift.js";

type LayerDeps = Pick<Deps, "containerd" | "settings">;

export const sandboxLayer = (id: string) => `sandbox-${id}`;
export const checkpointLayer = (id: string) => `checkpoint-${id}`;
const makingOf = (id: string) => `checkpoint-${id}-making`;

/** Makes the writable layer of a sandbox; one left by an earlier try is thrown away. */
export async function prepareSandboxLayer(
  { containerd, settings }: LayerDeps,
  { id, key, parent }: { readonly id: string; readonly key: string; readonly parent: string },
  signal: AbortSignal,
): Promise<Mount[]> {
  return containerd.snapshots.prepare(
    {
      key,
      parent,
      labels: {
        [labels.sandbox]: id,
        ...mappingLabelsOf({ hostId: settings.ids.base, size: settings.ids.size }),
      },
    },
    signal,
  );
}

/** Makes what a sandbox that stands still has written durable. */
export async function syncLayer(
  { containerd }: Pick<Deps, "containerd">,
  { snapshotKey }: { readonly snapshotKey: string },
  signal: AbortSignal,
): Promise<void> {
  await syncTree(upperDirectory(await containerd.snapshots.mounts(snapshotKey, signal)), signal);
}

/** A layer in the making, unmapped, on the same parent as the sandbox's. */
export interface LayerCopy {
  readonly key: string;
  /** Its directory on disk. */
  readonly directory: string;
  /** The directory of the sandbox's own layer. */
  readonly source: string;
}

export async function prepareLayerCopy(
  { containerd }: LayerDeps,
  { checkpoint, sandboxKey }: { readonly checkpoint: string; readonly sandboxKey: string },
  signal?: AbortSignal,
): Promise<LayerCopy> {
  const [{ parent }, source] = await settleAll(
    containerd.snapshots.stat(sandboxKey, signal),
    containerd.snapshots.mounts(sandboxKey, signal),
  );
  const key = makingOf(checkpoint);
  const mounts = await containerd.snapshots.prepare(
    { key, parent, labels: { [labels.checkpoint]: checkpoint } },
    signal,
  );
  return { key, directory: upperDirectory(mounts), source: upperDirectory(source) };
}

/** Copies a writable layer whose sandbox stands still: overlay's marks are extended attributes and devices. */
export function copyUpper({ copier }: Pick<Deps, "copier">, { source, directory }: LayerCopy): Promise<void> {
  return copier.copy(source, directory);
}

export interface LayerCommit {
  readonly copy: LayerCopy;
  readonly checkpoint: string;
  /** Whether it has to be there after a power cut. */
  readonly durable: boolean;
}

/** Turns a copied layer into a committed one, owners as seen inside. Gives its size. */
export async function commitLayer(
  { containerd, settings }: LayerDeps,
  { copy, checkpoint, durable }: LayerCommit,
  signal: AbortSignal,
): Promise<{ key: string; sizeBytes: number }> {
  const name = checkpointLayer(checkpoint);
  await removePassing(copy.directory);
  const { sizeBytes } = await unshiftOwners(copy.directory, settings.ids, signal);
  // The mount point of the guest's directory is ours, not the sandbox's.
  await rmdir(join(copy.directory, ".ramet")).catch(() => {});
  await settleAll(
    durable ? syncTree(copy.directory, signal) : undefined,
    containerd.snapshots.commit({ key: copy.key, name, labels: { [labels.checkpoint]: checkpoint } }, signal),
  );
  return { key: name, sizeBytes };
}

export function removeLayerCopy({ containerd }: Pick<Deps, "containerd">, checkpoint: string): Promise<void> {
  return containerd.snapshots.remove(makingOf(checkpoint));
}
