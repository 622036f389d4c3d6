/** Stopping ends a sandbox's processes; deleting forgets it and frees all it holds. */

import { rm } from "node:fs/promises";
import { DomainError, isDomainError } from "../lib/errors.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { transition } from "../sandbox/state.js";
import type { Deps } from "./deps.js";
import { reopen, thaw } from "./dump.js";
import { removeContainer } from "./end-container.js";
import { reapUnused } from "./reap.js";
import { journaled, moveTo, stateError } from "./record.js";

export async function stopSandbox(
  deps: Deps,
  ref: string,
  { graceMs }: { readonly graceMs: number },
  signal: AbortSignal,
): Promise<Sandbox> {
  const { id } = deps.store.sandboxes.find(ref);
  return deps.queue.run(id, () => stop(deps, id, graceMs, signal), signal);
}

async function stop(deps: Deps, id: SandboxId, graceMs: number, signal: AbortSignal): Promise<Sandbox> {
  const sandbox = deps.store.sandboxes.get(id);
  const { status } = sandbox.state;
  if (status === "stopped") return sandbox;
  // In the sandbox's line nobody else is stopping it: an earlier stop has failed half-way.
  if (status !== "running" && status !== "paused" && status !== "stopping")
    throw stateError(sandbox, "stop", "running");
  return journaled(deps, { kind: "stop", sandbox: id }, async () => {
    if (status === "running") await askToEnd(deps, id, graceMs, signal);
    if (status !== "stopping") moveTo(deps, id, { status: "stopping", since: deps.now() });
    deps.failpoint("stop.recorded");
    return finishStop(deps, id);
  });
}

/** SIGTERM to everything, through the guest, which exits when nothing is left. Waits for the grace period. */
async function askToEnd(deps: Deps, id: SandboxId, graceMs: number, signal: AbortSignal): Promise<void> {
  try {
    await deps.guests.call(id, (guest, linked) => guest.shutDown({ graceMs }, linked), signal);
    // The guest kills what is left itself; a guest that does not is killed by finishStop.
    await deps.containerd.tasks.wait(id, AbortSignal.any([signal, AbortSignal.timeout(graceMs + 2_000)]));
  } catch (err) {
    signal.throwIfAborted();
    deps.log.warn({ err, sandbox: id }, "the guest did not end by itself");
  }
}

/** From `stopping`, also after a crash: kills, removes the container, records the end. */
export async function finishStop(deps: Omit<Deps, "queue">, id: SandboxId): Promise<Sandbox> {
  deps.guests.remove(id, new DomainError("unavailable", `sandbox ${id} was stopped`));
  const exitCode = (await removeContainer(deps, id)) ?? 0;
  deps.failpoint("stop.killed");
  const memory = deps.store.checkpoints.list({ sandbox: id, kinds: ["pause"] });
  const stopped = deps.store.transact((store) => {
    const since = deps.now();
    const moved = store.sandboxes.update(id, (current) => ({
      ...current,
      state: transition(current.state, { status: "stopped", since, exitCode }),
    }));
    for (const { id: checkpoint } of memory) store.checkpoints.delete(checkpoint);
    return moved;
  });
  for (const { id: checkpoint } of memory)
    await rm(deps.paths.checkpoint(checkpoint), { recursive: true, force: true });
  deps.record("sandbox.stopped", { sandbox: id, attributes: { exitCode: String(exitCode) } });
  return stopped;
}

/**
 * Compares a sandbox recorded as running with its task: one whose guest ended without being asked to becomes
 * stopped, one that stands frozen (containerd was away when it should have been thawed) runs on. Waits in the
 * sandbox's line.
 */
export async function checkTask(deps: Deps, id: SandboxId): Promise<void> {
  await deps.queue.run(id, async () => {
    const sandbox = deps.store.sandboxes.peek(id);
    if (sandbox?.state.status !== "running") return;
    const task = await deps.containerd.tasks.get(id).catch((thrown: unknown) => {
      if (isDomainError(thrown, "not_found")) return undefined;
      throw thrown;
    });
    if (task === undefined || task.status === "stopped") return noteEnd(deps, id, task?.exitStatus);
    // A warm slot stands still until it is claimed.
    if (sandbox.isSlot) return;
    if (task.status !== "paused" && !(await deps.freezer.isFrozen(id))) return;
    await thaw(deps, sandbox);
    await reopen(deps, sandbox);
  });
}

async function noteEnd(deps: Deps, id: SandboxId, exitStatus: number | undefined): Promise<void> {
  deps.guests.remove(id, new DomainError("unavailable", `sandbox ${id} ended`));
  const exitCode = (await removeContainer(deps, id)) ?? exitStatus ?? 0;
  const { isSlot } = moveTo(deps, id, { status: "stopped", since: deps.now(), exitCode });
  if (!isSlot) deps.record("sandbox.stopped", { sandbox: id, attributes: { exitCode: String(exitCode) } });
}

export async function deleteSandbox(
  deps: Deps,
  ref: string,
  { force }: { readonly force: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { id } = deps.store.sandboxes.find(ref);
  await deps.queue.run(
    id,
    async () => {
      const sandbox = deps.store.sandboxes.get(id);
      const { status } = sandbox.state;
      const isEnded = status === "stopped" || status === "failed";
      if (!isEnded && !force) throw holdsError(sandbox);
      await journaled(deps, { kind: "delete", sandbox: id }, () => finishDelete(deps, id));
    },
    signal,
  );
}

function holdsError({ id, state }: Sandbox): DomainError {
  return new DomainError("failed_precondition", `cannot delete sandbox ${id}: it is ${state.status}`, {
    hint: "stop it first, or delete it with --force",
  });
}

/** Whatever state it is in, also after a crash. Layer before record, so that a second try finds the key. */
export async function finishDelete(deps: Omit<Deps, "queue">, id: SandboxId): Promise<void> {
  const sandbox = deps.store.sandboxes.peek(id);
  if (sandbox === undefined) return;
  deps.guests.remove(id, new DomainError("unavailable", `sandbox ${id} was deleted`));
  try {
    deps.failpoint("delete.recorded");
    await removeContainer(deps, id);
  } catch (thrown) {
    // As when containerd is away. What runs on stays in use until the next try; a slot stands still, of no use to anybody.
    if (sandbox.state.status === "running" && !sandbox.isSlot)
      await deps.guests.add(id, deps.paths.guestDir(id), AbortSignal.timeout(2_000)).catch(() => {});
    throw thrown;
  }
  deps.failpoint("delete.container");
  await deps.containerd.snapshots.remove(sandbox.snapshotKey);
  const memory = deps.store.checkpoints.list({ sandbox: id, kinds: ["pause"] });
  deps.store.transact((store) => {
    store.sandboxes.delete(id);
    for (const { id: checkpoint } of memory) store.checkpoints.delete(checkpoint);
  });
  for (const { id: checkpoint } of memory)
    await rm(deps.paths.checkpoint(checkpoint), { recursive: true, force: true });
  if (!sandbox.isSlot) deps.record("sandbox.deleted", { sandbox: id });
  const { origin } = sandbox;
  if ("checkpoint" in origin) await reapUnused(deps, origin.checkpoint);
}
