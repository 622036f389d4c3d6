/** What a start finds: the half of recovery that looks. The planner (sandbox/plan.ts) decides. */
import { readdir } from "node:fs/promises";
import type { Task } from "../containerd/tasks.js";
import { readProcessIdentity } from "../lib/process-identity.js";
import type { Observed, ObservedTask } from "../sandbox/observed.js";
import type { Deps } from "./deps.js";

export async function observe(
  { containerd, paths }: Pick<Deps, "containerd" | "paths">,
  signal: AbortSignal,
): Promise<Observed> {
  const [containers, tasks, snapshots, sandboxDirs, checkpointDirs] = await Promise.all([
    containerd.containers.list([], signal),
    containerd.tasks.list(signal),
    containerd.snapshots.list([], signal),
    readdir(paths.sandboxes),
    readdir(paths.checkpoints),
  ]);
  return {
    containers,
    tasks: await Promise.all(tasks.map(observeTask)),
    snapshots,
    sandboxDirs,
    checkpointDirs,
  };
}

async function observeTask({ id, status, pid, exitStatus }: Task): Promise<ObservedTask> {
  const identity = pid === 0 ? undefined : await readProcessIdentity(pid);
  const task = { id, status, pid, exitCode: exitStatus };
  return identity === undefined ? task : { ...task, pidStart: identity.start };
}
