/** What is found and belongs to nothing that stays. Pure. Only what carries our label or our kind of name. */
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { isId } from "../lib/ids.js";
import { isOurs, type Observed, type ObservedSnapshot, shimLabel } from "./observed.js";
import type { Step } from "./recovery-step.js";
import type { Sandbox } from "./sandbox.js";

export interface Kept {
  readonly sandboxes: readonly Sandbox[];
  readonly checkpoints: readonly Checkpoint[];
}

export interface Context {
  /** All records, those included that earlier steps remove together with what they hold. */
  readonly recorded: Kept;
  /** The records that stay. */
  readonly kept: Kept;
  /** The step of each recorded sandbox. */
  readonly planned: ReadonlyMap<string, Step | undefined>;
}

export function planLeftovers(context: Context, observed: Observed): Step[] {
  const { recorded, kept, planned } = context;
  const recordedIds = new Set<string>(recorded.sandboxes.map(({ id }) => id));
  const containers = observed.containers.filter(
    (container) => isOurs(container) && !(shimLabel in container.labels) && !recordedIds.has(container.id),
  );
  const withContainer = new Set(containers.map(({ id }) => id));
  // A sandbox that has a step runs afterwards, or loses its directory in that step.
  const dirs = observed.sandboxDirs.filter(
    (id) => isId(id) && !withContainer.has(id) && planned.get(id) === undefined,
  );
  const wanted = new Set(kept.checkpoints.filter(({ kind }) => kind !== "fork").map(({ id }) => id));
  const removed = new Set(recorded.checkpoints.map(({ id }) => id).filter((id) => !isKept(kept, id)));
  const checkpointDirs = observed.checkpointDirs.filter(
    (name) => isCheckpointDirectory(name) && !wanted.has(name) && !removed.has(name),
  );
  return [
    ...containers.map(({ id }): Step => ({ action: "removeOrphanContainer", id })),
    ...orphanSnapshots(context, observed.snapshots).map(
      (key): Step => ({ action: "removeOrphanSnapshot", key }),
    ),
    ...dirs.map((id): Step => ({ action: "removeOrphanDirectory", id })),
    ...checkpointDirs.map((name): Step => ({ action: "removeOrphanCheckpointDirectory", name })),
  ];
}

const isKept = (kept: Kept, id: string) => kept.checkpoints.some((checkpoint) => checkpoint.id === id);

/** Earlier versions had something behind the id while it was made; other names are not ours. */
function isCheckpointDirectory(name: string): boolean {
  return isId(name.replace(/\.partial$/, ""));
}

/** Children before parents. Layers of records that other steps remove are theirs to remove. */
function orphanSnapshots({ recorded }: Context, snapshots: readonly ObservedSnapshot[]): string[] {
  const wanted = new Set([
    ...recorded.sandboxes
      .filter(({ state }) => state.status !== "failed")
      .map(({ snapshotKey }) => snapshotKey),
    ...recorded.checkpoints.filter(({ kind }) => kind !== "pause").map(({ snapshotKey }) => snapshotKey),
  ]);
  const parents = new Map(snapshots.map(({ key, parent }) => [key, parent]));
  const depth = (key: string): number => {
    const parent = parents.get(key);
    return parent === undefined || parent === "" ? 0 : 1 + depth(parent);
  };
  return snapshots
    .filter((snapshot) => isOurs(snapshot) && !wanted.has(snapshot.key))
    .map(({ key }) => key)
    .sort((a, b) => depth(b) - depth(a) || (a < b ? -1 : 1));
}
