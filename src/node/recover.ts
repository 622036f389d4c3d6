/** A start is a recovery: look, plan, and take the steps of the plan, each of which may run twice. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { toDomainError } from "../lib/errors.js";
import { mapLimited } from "../lib/limit.js";
import { planRecovery } from "../sandbox/plan.js";
import { type Executors, executeStep, type Step } from "../sandbox/recovery-step.js";
import { planRounds } from "../sandbox/rounds.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { memoryIn } from "../sandbox/state.js";
import type { Deps } from "./deps.js";
import { thaw } from "./dump.js";
import { removeContainer } from "./end-container.js";
import { limitMemory } from "./memory-limit.js";
import { observe } from "./observe.js";
import { endPaused } from "./pause.js";
import { reapUnused } from "./reap.js";
import { moveTo } from "./record.js";
import { completeResume } from "./resume.js";
import { hasMemory } from "./shared-memory.js";
import { finishDelete, finishStop } from "./stop.js";

/** Bound of one step; a step that fails is logged and left for the next start. */
const stepMs = 120_000;
/** Steps that are taken side by side: a guest that does not answer keeps its place for half a minute. */
const stepsMax = 32;

export async function recover(deps: Deps, signal: AbortSignal): Promise<void> {
  const { store, log } = deps;
  const recorded = {
    sandboxes: store.sandboxes.list({ slots: "too" }),
    templates: store.templates.list(),
    checkpoints: store.checkpoints.list(),
    operations: store.operations.list(),
  };
  await endDumps(deps, recorded.sandboxes);
  const steps = planRecovery(recorded, await observe(deps, signal));
  const executors = recoveryExecutors(deps);
  for (const round of planRounds(steps)) await mapLimited(round, stepsMax, take, signal);
  if (steps.length > 0) log.info({ steps: steps.length }, "recovered");

  async function take(step: Step): Promise<void> {
    try {
      log.debug({ step }, "recovery step");
      await executeStep(step, executors, AbortSignal.any([signal, AbortSignal.timeout(stepMs)]));
    } catch (err) {
      signal.throwIfAborted();
      log.error({ err, step }, "a recovery step failed; the next start tries again");
      if (step.action === "adopt" || step.action === "thaw") await giveUp(deps, step.id, err);
    }
  }
}

/**
 * A dump that an earlier agent asked for goes on without it, and containerd says nothing of the task until it ends,
 * which it may be kept from by the freezer (stopped-threads.ts). Nobody will use it.
 */
async function endDumps({ freezer }: Deps, sandboxes: readonly Sandbox[]): Promise<void> {
  for (const { id, state } of sandboxes)
    if (state.status === "checkpointing" || state.status === "pausing") await freezer.thaw(id);
}

/** A sandbox that runs but cannot be reached is of no use to anybody: end it and say why; its layer stays. */
async function giveUp(deps: Deps, id: SandboxId, thrown: unknown): Promise<void> {
  deps.log.error({ sandbox: id, err: thrown }, "the sandbox does not answer: ending it");
  await removeContainer(deps, id);
  moveTo(deps, id, { status: "stopped", since: deps.now(), exitCode: 137 });
  deps.record("sandbox.stopped", { sandbox: id, attributes: { reason: toDomainError(thrown).message } });
}

/**
 * Of a restore that was cut short: it may have memory to spare still, and its processes wait when they give memory
 * back, until memoryd has taken over.
 */
async function finishRestore(
  deps: Deps,
  { id, pid }: { readonly id: SandboxId; readonly pid: number },
  signal: AbortSignal,
): Promise<void> {
  const { memoryBytes } = deps.store.sandboxes.get(id).spec.limits;
  if (memoryBytes !== undefined) await limitMemory(deps.cgroups, pid, memoryBytes);
  if (hasMemory(deps, id)) await deps.memoryd.adopt(deps.freezer.procsPath(id), signal);
}

function recoveryExecutors(deps: Deps): Executors {
  const { store, containerd, paths, guests, now, record } = deps;
  const reach = (id: SandboxId, signal: AbortSignal) => guests.add(id, paths.guestDir(id), signal);

  /** Back to `running` from whatever was cut short; one that runs already stays as recorded. */
  const runs = ({ id, pid, pidStart }: { id: SandboxId; pid: number; pidStart: string }) => {
    if (store.sandboxes.get(id).state.status !== "running")
      moveTo(deps, id, { status: "running", since: now(), pid, pidStart });
  };

  return {
    async adopt(step, signal) {
      await reach(step.id, signal);
      runs(step);
    },
    async thaw(step, signal) {
      await thaw(deps, store.sandboxes.get(step.id));
      await reach(step.id, signal);
      runs(step);
    },
    async finishResume({ id, pid, pidStart, checkpoint }, signal) {
      await thaw(deps, store.sandboxes.get(id));
      await finishRestore(deps, { id, pid }, signal);
      await reach(id, signal);
      await completeResume(deps, store.sandboxes.get(id), { pid, pidStart, ...memoryIn(checkpoint) });
    },
    finishPause: ({ id }) => endPaused(deps, id),
    async rollBackResume({ id, checkpoint }) {
      await removeContainer(deps, id);
      moveTo(deps, id, { status: "paused", since: now(), ...memoryIn(checkpoint) });
    },
    async rollBackCreate({ id }) {
      await removeContainer(deps, id);
      await containerd.snapshots.remove(store.sandboxes.get(id).snapshotKey);
      store.sandboxes.delete(id);
    },
    async finishStop({ id }) {
      if (store.sandboxes.get(id).state.status !== "stopping")
        moveTo(deps, id, { status: "stopping", since: now() });
      await finishStop(deps, id);
    },
    finishDelete: ({ id }) => finishDelete(deps, id),
    async markStopped({ id, exitCode, reason }) {
      await removeContainer(deps, id);
      moveTo(deps, id, { status: "stopped", since: now(), exitCode });
      record("sandbox.stopped", { sandbox: id, attributes: { exitCode: String(exitCode), reason } });
    },
    async markFailed({ id, reason }) {
      const sandbox = store.sandboxes.get(id);
      await removeContainer(deps, id);
      await containerd.snapshots.remove(sandbox.snapshotKey);
      store.sandboxes.update(
        id,
        (current): Sandbox => ({ ...current, state: { status: "failed", since: now(), reason } }),
      );
      record("sandbox.failed", { sandbox: id, attributes: { reason } });
    },
    async failTemplateBuild({ name, reason }) {
      store.templates.update(name, (template) => ({
        ...template,
        state: { status: "failed", since: now(), reason },
      }));
    },
    removeUnusedCheckpoint: ({ id }) => removeUnused(deps, id),
    async removeOrphanContainer({ id }) {
      await removeContainer(deps, id);
    },
    removeOrphanSnapshot: ({ key }, signal) => containerd.snapshots.remove(key, signal),
    removeOrphanDirectory: ({ id }) => rm(paths.sandbox(id), { recursive: true, force: true }),
    removeOrphanCheckpointDirectory: ({ name }) =>
      rm(join(paths.checkpoints, name), { recursive: true, force: true }),
    async dropOperation({ id }) {
      store.operations.delete(id);
    },
  };
}

/** Of a pause whose sandbox is gone; others are a fork's or a template's. */
async function removeUnused(deps: Deps, id: string): Promise<void> {
  const checkpoint = deps.store.checkpoints.peek(id);
  if (checkpoint === undefined) return;
  if (checkpoint.kind !== "pause") return reapUnused(deps, id, () => false);
  deps.store.checkpoints.delete(id);
  await rm(deps.paths.checkpoint(id), { recursive: true, force: true });
}
