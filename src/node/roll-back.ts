/** Rolling back: a sandbox goes back to a checkpoint of its lineage, memory and files, and stays what it is to others. */
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { DomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import { openScope } from "../lib/scope.js";
import type { Origin, Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { transition } from "../sandbox/state.js";
import { checkRestorable, discardCheckpointFiles } from "./checkpoint-files.js";
import type { Deps } from "./deps.js";
import { prepareSandboxLayer, sandboxLayer } from "./layer.js";
import { endPaused } from "./pause.js";
import { reapUnused } from "./reap.js";
import { journaled, stateError } from "./record.js";
import { ownMemory, resume } from "./resume.js";

export async function rollBackSandbox(
  deps: Deps,
  ref: string,
  { checkpoint }: { readonly checkpoint: string },
  signal: AbortSignal,
): Promise<Sandbox> {
  const { id } = deps.store.sandboxes.find(ref);
  const target = deps.store.checkpoints.find(checkpoint);
  return deps.queue.run(
    id,
    async () => {
      await goBack(deps, id, target, signal);
      const sandbox = await resume(deps, id, { memory: true }, AbortSignal.timeout(resumeMs));
      deps.record("sandbox.rolled_back", { sandbox: id, attributes: { checkpoint: target.id } });
      return sandbox;
    },
    signal,
  );
}

/** The caller's signal ends at the record: from there there is only the way to the checkpoint. */
const resumeMs = 300_000;

/**
 * Makes a layer at the checkpoint, then records the sandbox as paused there: what it was is given up in that
 * moment, and not before. A crash or a failed restore after it leaves a paused sandbox that can be resumed.
 */
async function goBack(deps: Deps, id: SandboxId, target: Checkpoint, signal: AbortSignal): Promise<void> {
  const sandbox = deps.store.sandboxes.get(id);
  const { status } = sandbox.state;
  if (status !== "running" && status !== "paused") throw stateError(sandbox, "roll back", "running");
  requireOfLineage(deps, sandbox, target);
  await checkRestorable(deps, target, signal);
  await journaled(deps, { kind: "roll_back", sandbox: id, checkpoint: target.id }, async () => {
    await using undo = openScope();
    const snapshotKey = `${sandboxLayer(id)}-${randomId()}`;
    undo.defer(() => deps.containerd.snapshots.remove(snapshotKey));
    await prepareSandboxLayer(deps, { id, key: snapshotKey, parent: target.snapshotKey }, signal);
    deps.failpoint("rollback.prepared");
    const memory = sandbox.state.status === "paused" ? ownMemory(deps, sandbox.state.checkpoint) : undefined;
    record(deps, sandbox, { snapshotKey, target, memory });
    undo.move();
    deps.failpoint("rollback.recorded");
    await endPaused(deps, id, wasRolledBack(id, target));
    await forget(deps, sandbox, memory);
  });
}

function wasRolledBack(id: SandboxId, { id: checkpoint, name = checkpoint }: Checkpoint): DomainError {
  const says = `sandbox ${id} was rolled back to checkpoint ${name}`;
  return new DomainError("unavailable", says, { hint: "it has the processes of that time: see `ramet top`" });
}

/** Its own checkpoints, what it was made from, and what these descend from. */
function requireOfLineage(deps: Deps, sandbox: Sandbox, target: Checkpoint): void {
  if (target.sandbox === sandbox.id && target.kind === "user") return;
  const { origin } = sandbox;
  let next = "checkpoint" in origin ? origin.checkpoint : undefined;
  while (next !== undefined) {
    if (next === target.id) return;
    const ancestor = deps.store.checkpoints.peek(next);
    next = ancestor?.parent ?? ancestor?.base;
  }
  throw new DomainError(
    "failed_precondition",
    `cannot roll back sandbox ${sandbox.id}: checkpoint ${target.name ?? target.id} is not of its lineage`,
    { hint: "`ramet restore` makes a new sandbox from it" },
  );
}

interface Back {
  readonly snapshotKey: string;
  readonly target: Checkpoint;
  /** Of the pause that it is in. */
  readonly memory: string | undefined;
}

function record(deps: Deps, { id }: Sandbox, { snapshotKey, target, memory }: Back): void {
  const since = deps.now();
  deps.store.transact((store) => {
    // Its removal may have come first; from here the record keeps it.
    store.checkpoints.get(target.id);
    if (memory !== undefined) store.checkpoints.delete(memory);
    store.sandboxes.update(id, (current) => {
      const paused = { status: "paused", since, checkpoint: target.id } as const;
      return {
        ...current,
        snapshotKey,
        parent: target.id,
        origin: originAt(current, target.id),
        state: current.state.status === "paused" ? paused : transition(current.state, paused),
      };
    });
  });
}

/** A clone of a fork stays one: `keep` goes by it. */
function originAt({ origin }: Sandbox, checkpoint: string): Origin {
  if (origin.kind !== "fork") return { kind: "checkpoint", checkpoint };
  return { ...origin, checkpoint, fork: origin.fork ?? origin.checkpoint };
}

/** What the sandbox was: its layer, the memory of its pause, and a fork's checkpoint that nothing stands on any more. */
async function forget(
  deps: Deps,
  { snapshotKey, origin }: Sandbox,
  memory: string | undefined,
): Promise<void> {
  await deps.containerd.snapshots.remove(snapshotKey);
  if (memory !== undefined) await discardCheckpointFiles(deps, memory);
  if ("checkpoint" in origin) await reapUnused(deps, origin.checkpoint);
}
