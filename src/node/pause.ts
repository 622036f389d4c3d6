/** Pause puts memory on disk and ends the processes, or keeps the files alone. */
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { DomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import { openScope } from "../lib/scope.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { transition } from "../sandbox/state.js";
import { discardCheckpointFiles, finishCheckpointFiles, sealImages } from "./checkpoint-files.js";
import type { Deps } from "./deps.js";
import { type Dump, dump, reopen, thaw } from "./dump.js";
import { killTask, removeContainer } from "./end-container.js";
import { syncLayer } from "./layer.js";
import { journaled, moveTo, requireRunning } from "./record.js";
import { shareMemory } from "./shared-memory.js";
import { lineageOf } from "./take-checkpoint.js";
import { freezeServed } from "./traced.js";

export interface Paused {
  readonly sandbox: Sandbox;
  readonly checkpoint: Checkpoint;
}

export async function pauseSandbox(deps: Deps, ref: string, signal: AbortSignal): Promise<Paused> {
  return answeredEarly(deps, ref, (id, answer) => pause(deps, id, answer, signal), signal);
}

/** Keeps the files alone; a resume starts the sandbox anew. */
export async function pauseFiles(deps: Deps, ref: string, signal: AbortSignal): Promise<Sandbox> {
  return answeredEarly(deps, ref, (id, answer) => endKeepingFiles(deps, id, answer, signal), signal);
}

type Answer<T> = (value: T) => void;

/**
 * Work in the sandbox's line whose caller has the answer before its end. What fails after the answer is logged: the
 * sandbox is recorded as paused by then, and the next start of the agent clears away what is left of its container.
 */
function answeredEarly<T>(
  deps: Deps,
  ref: string,
  work: (id: SandboxId, answer: Answer<T>) => Promise<void>,
  signal: AbortSignal,
): Promise<T> {
  const { id } = deps.store.sandboxes.find(ref);
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    const answer = (value: T) => {
      isAnswered = true;
      resolve(value);
    };
    deps.queue
      .run(id, () => work(id, answer), signal)
      .catch((err: unknown) => {
        if (isAnswered) deps.log.error({ err, sandbox: id }, "what is left of a paused container stays");
        else reject(err);
      });
  });
}

/**
 * The processes stay frozen from the dump until the checkpoint is durable and recorded; only then are they
 * killed. So whatever ends the agent in between, either they run on or the checkpoint is whole.
 */
async function pause(deps: Deps, id: SandboxId, answer: Answer<Paused>, signal: AbortSignal): Promise<void> {
  const sandbox = deps.store.sandboxes.get(id);
  const { pid, pidStart } = requireRunning(sandbox, "pause");
  const checkpoint = randomId();
  return journaled(deps, { kind: "pause", sandbox: id, checkpoint }, async () => {
    await using undo = openScope();
    moveTo(deps, id, { status: "pausing", since: deps.now(), pid, pidStart });
    undo.defer(() => moveTo(deps, id, { status: "running", since: sandbox.state.since, pid, pidStart }));
    deps.failpoint("pause.recorded");
    // Memory and files are of one instant: neither may be lost without the other.
    const beside = () => syncLayer(deps, sandbox, signal);
    const options = { checkpoint, beside, readAhead: true, stayFrozen: true };
    const dumped = await dump(deps, sandbox, options, signal);
    undo.defer(() => reopen(deps, sandbox));
    undo.defer(() => thaw(deps, sandbox));
    undo.defer(() => discardCheckpointFiles(deps, checkpoint));
    const paused = await recordPaused(deps, { sandbox, checkpoint, dumped }, signal);
    undo.move();
    deps.failpoint("pause.committed");
    await endProcesses(deps, id);
    deps.record("sandbox.paused", { sandbox: id, attributes: { checkpoint } });
    answer(paused);
    await removeContainer(deps, id);
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
  const images = await sealImages(deps, { ...files, begun: dumped.begun }, signal);
  await finishCheckpointFiles(deps, files, images);
  deps.failpoint("pause.durable");
  const { spec, generation, snapshotKey } = sandbox;
  const { freezeMs } = dumped;
  const createdAt = deps.now();
  const checkpoint: Checkpoint = {
    ...{ id, kind: "pause", sandbox: sandbox.id, spec, generation, snapshotKey, ...memory },
    // Its parent may have been removed since.
    ...{ layerBytes: 0, freezeMs, createdAt, ...lineageOf(deps.store.sandboxes.get(sandbox.id)) },
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

/** Their memory is free then; the container's own remains are cleared away after the answer. */
async function endProcesses(deps: Deps, id: SandboxId): Promise<void> {
  deps.guests.remove(id, wasPaused(id));
  await killTask(deps, id);
  deps.failpoint("pause.killed");
}

const wasPaused = (id: SandboxId) =>
  new DomainError("unavailable", `sandbox ${id} was paused`, { hint: "attach again once it is resumed" });

/**
 * Ends what is left of a sandbox recorded as paused; `why` is for who used it. A start of the agent does it again if
 * need be.
 */
export async function endPaused(
  deps: Pick<Deps, "containerd" | "freezer" | "paths" | "guests" | "settings" | "shims" | "endings">,
  id: SandboxId,
  why = wasPaused(id),
): Promise<void> {
  deps.guests.remove(id, why);
  await removeContainer(deps, id);
}

/** The processes stand still while what they wrote becomes durable, and until the pause is recorded. */
async function endKeepingFiles(
  deps: Deps,
  id: SandboxId,
  answer: Answer<Sandbox>,
  signal: AbortSignal,
): Promise<void> {
  const sandbox = deps.store.sandboxes.get(id);
  const { pid, pidStart } = requireRunning(sandbox, "pause");
  return journaled(deps, { kind: "pause", sandbox: id }, async () => {
    await using undo = openScope();
    moveTo(deps, id, { status: "pausing", since: deps.now(), pid, pidStart });
    undo.defer(() => moveTo(deps, id, { status: "running", since: sandbox.state.since, pid, pidStart }));
    deps.failpoint("pause.recorded");
    undo.defer(() => reopen(deps, sandbox));
    await deps.guests.close(id, signal);
    undo.defer(() => thaw(deps, sandbox));
    await freezeServed(deps, id);
    await syncLayer(deps, sandbox, signal);
    const paused = deps.store.transact(() => moveTo(deps, id, { status: "paused", since: deps.now() }));
    undo.move();
    deps.failpoint("pause.committed");
    await endProcesses(deps, id);
    deps.record("sandbox.paused", { sandbox: id });
    answer(paused);
    await removeContainer(deps, id);
  });
}
