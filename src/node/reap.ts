/** Removing checkpoints: on request, and those that nobody asked for once nothing stands on them any more. */
import { type Checkpoint, describeDependent } from "../checkpoint/checkpoint.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { discardCheckpointFiles } from "./checkpoint-files.js";
import type { Deps } from "./deps.js";

type ReapDeps = Pick<Deps, "store" | "containerd" | "paths" | "log" | "record">;

/** Refuses, naming what, while something depends on it, and for one that belongs to something. */
export async function deleteCheckpoint(deps: ReapDeps, ref: string): Promise<void> {
  const checkpoint = deps.store.checkpoints.find(ref);
  const { id, kind } = checkpoint;
  if (kind !== "user") {
    throw new DomainError(
      "failed_precondition",
      `cannot remove checkpoint ${id}: it belongs to ${owners[kind]}`,
      {
        hint: "it goes by itself when that goes",
      },
    );
  }
  deps.store.transact((store) => {
    const dependents = store.checkpoints.dependents(id);
    if (dependents.length > 0) {
      throw new DomainError(
        "failed_precondition",
        `cannot remove checkpoint ${id}: ${dependents.map(describeDependent).join(", ")} stand${dependents.length === 1 ? "s" : ""} on it`,
        { hint: "remove these first" },
      );
    }
    store.checkpoints.delete(id);
  });
  await discard(deps, checkpoint);
  deps.record("checkpoint.deleted", { sandbox: checkpoint.sandbox, attributes: { checkpoint: id } });
  await reapUnused(deps, checkpoint.base);
}

const owners = { golden: "a template", pause: "a paused sandbox", fork: "the clones of a fork" } as const;

/**
 * Removes the checkpoint when it is a fork's or a golden one and nothing depends on it; then looks at the one
 * underneath. The record goes first: what a crash leaves behind has no record and is removed at the next start.
 */
export async function reapUnused(
  deps: ReapDeps,
  id: string | undefined,
  isForking: (id: string) => boolean = (checkpoint) => isBeingForked(deps, checkpoint),
): Promise<void> {
  for (let next = id; next !== undefined; ) {
    const removed = forgetUnused(deps, next, isForking);
    if (removed === undefined) return;
    await discard(deps, removed);
    next = removed.base;
  }
}

/** A fork that is still cloning holds its checkpoint through the journal. */
function isBeingForked({ store }: ReapDeps, id: string): boolean {
  return store.operations.holds("fork", id);
}

function forgetUnused(
  { store }: ReapDeps,
  id: string,
  isForking: (id: string) => boolean,
): Checkpoint | undefined {
  // One that stays, as it mostly does, is not worth a transaction's wait for the disk.
  if (store.checkpoints.hasDependents(id)) return undefined;
  return store.transact((writer) => {
    const checkpoint = writer.checkpoints.peek(id);
    if (checkpoint === undefined || (checkpoint.kind !== "fork" && checkpoint.kind !== "golden"))
      return undefined;
    if (isForking(id) || writer.checkpoints.hasDependents(id)) return undefined;
    writer.checkpoints.delete(id);
    return checkpoint;
  });
}

async function discard(deps: ReapDeps, { id, snapshotKey }: Checkpoint): Promise<void> {
  await discardCheckpointFiles(deps, id);
  try {
    await deps.containerd.snapshots.remove(snapshotKey);
  } catch (err) {
    if (!isDomainError(err, "failed_precondition")) throw err;
    // Something unrecorded is still on it; the next start finds both without a record and removes them.
    deps.log.warn({ err, checkpoint: id }, "the checkpoint's layer stays for now");
  }
}
