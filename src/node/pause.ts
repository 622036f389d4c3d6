/** Pause puts memory on disk and ends the processes; resume restores them under the same id and layer. */
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { DomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import { openScope } from "../lib/scope.js";
import { settleAll } from "../lib/settle.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { transition } from "../sandbox/state.js";
import {
  checkRestorable,
  discardCheckpointFiles,
  finishCheckpointFiles,
  sealImages,
} from "./checkpoint-files.js";
import { launch } from "./container.js";
import type { Deps } from "./deps.js";
import { type Dump, dump, reopen, thaw } from "./dump.js";
import { removeContainer } from "./end-container.js";
import { giveIdentity } from "./identity.js";
import { syncLayer } from "./layer.js";
import { journaled, moveTo, requireRunning, stateError } from "./record.js";
import { shareMemory } from "./shared-memory.js";
import { lineageOf } from "./take-checkpoint.js";

export interface Paused {
  readonly sandbox: Sandbox;
  readonly checkpoint: Checkpoint;
}

export async function pauseSandbox(deps: Deps, ref: string, signal: AbortSignal): Promise<Paused> {
  const { id } = deps.store.sandboxes.find(ref);
  return deps.queue.run(id, () => pause(deps, id, signal), signal);
}

/**
 * The processes stay frozen from the dump until the checkpoint is durable and recorded; only then are they
 * killed. So whatever ends the agent in between, either they run on or the checkpoint is whole.
 */
async function pause(deps: Deps, id: SandboxId, signal: AbortSignal): Promise<Paused> {
  const sandbox = deps.store.sandboxes.get(id);
  const { pid, pidStart } = requireRunning(sandbox, "pause");
  const checkpoint = randomId();
  return journaled(deps, { kind: "pause", sandbox: id, checkpoint }, async () => {
    await using undo = openScope();
    moveTo(deps, id, { status: "pausing", since: deps.now(), pid, pidStart });
    undo.defer(() => moveTo(deps, id, { status: "running", since: sandbox.state.since, pid, pidStart }));
    deps.failpoint("pause.recorded");
    const dumped = await dump(deps, sandbox, { checkpoint, readAhead: true, stayFrozen: true }, signal);
    undo.defer(() => reopen(deps, sandbox));
    undo.defer(() => thaw(deps, sandbox));
    undo.defer(() => discardCheckpointFiles(deps, checkpoint));
    const paused = await recordPaused(deps, { sandbox, checkpoint, dumped }, signal);
    undo.move();
    deps.failpoint("pause.committed");
    await endPaused(deps, id);
    deps.record("sandbox.paused", { sandbox: id, attributes: { checkpoint } });
    return paused;
  });
}

async function recordPaused(
  deps: Deps,
  { sandbox, checkpoint: id, dumped }: { sandbox: Sandbox; checkpoint: string; dumped: Dump },
  signal: AbortSignal,
): Promise<Paused> {
  const lineage = lineageOf(sandbox);
  const memory = await shareMemory(deps, { sandbox: sandbox.id, checkpoint: id, move: false }, signal);
  const files = { id, kind: "pause", sandbox, layerBytes: 0, memory, ...lineage } as const;
  // Memory and files are of one instant: neither may be lost without the other.
  const [images] = await settleAll(
    sealImages(deps, { ...files, begun: dumped.begun }, signal),
    syncLayer(deps, sandbox, signal),
  );
  await finishCheckpointFiles(deps, files, images);
  deps.failpoint("pause.renamed");
  const { spec, generation, snapshotKey } = sandbox;
  const { freezeMs } = dumped;
  const createdAt = deps.now();
  const checkpoint: Checkpoint = {
    ...{ id, kind: "pause", sandbox: sandbox.id, spec, generation, snapshotKey, ...memory },
    ...{ layerBytes: 0, freezeMs, createdAt, ...lineage },
  };
  return deps.store.transact((store) => {
    store.checkpoints.insert(checkpoint);
    const paused = store.sandboxes.update(sandbox.id, (current) => ({
      ...current,
      state: transition(current.state, { status: "paused", since: createdAt, checkpoint: id }),
    }));
    return { sandbox: paused, checkpoint };
  });
}

/** Ends the frozen processes of a sandbox recorded as paused. A start of the agent does it again if need be. */
export async function endPaused(
  deps: Pick<Deps, "containerd" | "freezer" | "paths" | "guests" | "failpoint" | "settings" | "shims">,
  id: SandboxId,
  why = `sandbox ${id} was paused`,
): Promise<void> {
  deps.guests.remove(id, new DomainError("unavailable", why, { hint: "attach again once it is resumed" }));
  await removeContainer(deps, id);
  deps.failpoint("pause.killed");
}

export async function resumeSandbox(deps: Deps, ref: string, signal: AbortSignal): Promise<Sandbox> {
  const { id } = deps.store.sandboxes.find(ref);
  return deps.queue.run(id, () => resume(deps, id, signal), signal);
}

/** In the sandbox's line. */
export async function resume(deps: Deps, id: SandboxId, signal: AbortSignal): Promise<Sandbox> {
  const sandbox = deps.store.sandboxes.get(id);
  const { state } = sandbox;
  if (state.status !== "paused") throw stateError(sandbox, "resume", "paused");
  const { checkpoint } = state;
  return journaled(deps, { kind: "resume", sandbox: id, checkpoint }, async () => {
    await using undo = openScope();
    moveTo(deps, id, { status: "resuming", since: deps.now(), checkpoint });
    undo.defer(() => moveTo(deps, id, { status: "paused", since: state.since, checkpoint }));
    deps.failpoint("resume.recorded");
    const rootfs = async (linked: AbortSignal) => {
      const [, mounts] = await settleAll(
        checkRestorable(deps, deps.store.checkpoints.get(checkpoint), linked),
        deps.containerd.snapshots.mounts(sandbox.snapshotKey, linked),
      );
      return mounts;
    };
    const checkpointDir = deps.paths.checkpoint(checkpoint);
    const live = await launch(deps, { sandbox, rootfs, checkpointDir }, signal);
    undo.move();
    deps.failpoint("resume.started");
    return completeResume(deps, sandbox, { ...live, checkpoint });
  });
}

/** The processes run again: from here there is no way back, only forward, also after a crash of the agent. */
export async function completeResume(
  deps: Deps,
  sandbox: Sandbox,
  {
    pid,
    pidStart,
    checkpoint,
  }: { readonly pid: number; readonly pidStart: string; readonly checkpoint: string },
): Promise<Sandbox> {
  // Read inside, it tells a program that time has passed without it, or that it has been here before.
  const generation = sandbox.generation + 1;
  await giveIdentity(deps, { ...sandbox, generation }, AbortSignal.timeout(30_000));
  // One that was rolled back to is there for others too.
  const isOwn = deps.store.checkpoints.get(checkpoint).kind === "pause";
  const running = deps.store.transact((store) => {
    const next = { status: "running", since: deps.now(), pid, pidStart } as const;
    const moved = store.sandboxes.update(sandbox.id, (current) => ({
      ...current,
      generation,
      state: transition(current.state, next),
    }));
    if (isOwn) store.checkpoints.delete(checkpoint);
    return moved;
  });
  deps.failpoint("resume.committed");
  deps.record("sandbox.resumed", { sandbox: sandbox.id });
  if (!isOwn) return running;
  // Large ones take a while. What a crash leaves of it has no record, and goes at the next start.
  discardCheckpointFiles(deps, checkpoint).catch((err: unknown) =>
    deps.log.warn({ err, checkpoint }, "the files of a resumed checkpoint stay for now"),
  );
  return running;
}
