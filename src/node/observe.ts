/** What a start finds: the half of recovery that looks. The planner (sandbox/plan.ts) decides. */
import { readdir } from "node:fs/promises";
import type { Task } from "../containerd/tasks.js";
import { readProcessIdentity } from "../lib/process-identity.js";
import type { Observed, ObservedTask } from "../sandbox/observed.js";
import type { Deps } from "./deps.js";
import type { Freezer } from "./freezer.js";

export async function observe(
  { containerd, paths, freezer }: Pick<Deps, "containerd" | "paths" | "freezer">,
  signal: AbortSignal,
): Promise<Observed> {
  const containers = await containerd.containers.list([], signal);
  const ids = containers.map(({ id }) => id);
  const [tasks, snapshots, sandboxDirs, checkpointDirs] = await Promise.all([
    containerd.tasks.of(ids, signal),
    containerd.snapshots.list([], signal),
    readdir(paths.sandboxes),
    readdir(paths.checkpoints),
  ]);
  return {
    containers,
    tasks: await Promise.all(tasks.map((task) => observeTask(freezer, task))),
    snapshots,
    sandboxDirs,
    checkpointDirs,
  };
}

async function observeTask(freezer: Freezer, { id, status, pid, exitStatus }: Task): Promise<ObservedTask> {
  const identity = pid === 0 ? undefined : await readProcessIdentity(pid);
  // containerd does not know of it when the agent froze a sandbox.
  const isFrozen = status === "running" && (await freezer.isFrozen(id));
  const task = { id, status: isFrozen ? ("paused" as const) : status, pid, exitCode: exitStatus };
  return identity === undefined ? task : { ...task, pidStart: identity.start };
}
