/** What is to be done about one recorded sandbox, given what is found of it. Pure. */
import type { ObservedTask } from "./observed.js";
import type { OperationKind } from "./operation.js";
import type { Step } from "./recovery-step.js";
import type { Sandbox, SandboxId } from "./sandbox.js";
import { memoryIn, type SandboxState } from "./state.js";

/** One sandbox's part of what a start found. */
export interface Findings {
  readonly task?: ObservedTask;
  readonly hasContainer: boolean;
  readonly hasSnapshot: boolean;
  /** Of the checkpoint that its state names, if it names one: record and files are there. */
  readonly hasCheckpoint: boolean;
  /** Operations on it that were cut short. */
  readonly operations: ReadonlySet<OperationKind>;
}

/** Undefined when everything is as it should be. */
export function planSandbox(sandbox: Sandbox, findings: Findings): Step | undefined {
  const { id, state } = sandbox;
  // Nobody was told of it, and another is restored as fast as this one is looked at.
  if (sandbox.isSlot || isHalfClaimed(state, findings)) return { action: "rollBackCreate", id };
  if (findings.operations.has("delete")) return { action: "finishDelete", id };
  switch (state.status) {
    case "creating":
      return { action: "rollBackCreate", id };
    case "running":
      // The guest that was asked to end takes no new processes any more.
      if (findings.operations.has("stop")) return { action: "finishStop", id };
      return planLive(id, state, findings);
    case "checkpointing":
    case "pausing":
      return planLive(id, state, findings);
    case "paused":
      return planPaused(id, findings);
    case "resuming":
      return planResuming(id, state.checkpoint, findings);
    case "stopping":
      return { action: "finishStop", id };
    case "stopped":
    case "failed":
      return findings.hasContainer || findings.task !== undefined
        ? { action: "removeOrphanContainer", id }
        : undefined;
  }
}

/**
 * Its caller was told nothing. Where its processes are gone, one may have been: that the journal has forgotten a claim
 * is not waited for, and a power cut brings it back.
 */
function isHalfClaimed(state: SandboxState, { operations, task }: Findings): boolean {
  return operations.has("claim") && state.status === "running" && whyLost(state, task) === undefined;
}

type LiveState = Extract<SandboxState, { pid: number }>;

/** A frozen one is thawed whatever froze it: a pause that counts has been recorded as paused. */
function planLive(id: SandboxId, { pid, pidStart }: LiveState, { task, hasSnapshot }: Findings): Step {
  const lost = whyLost({ pid, pidStart }, task);
  if (lost === undefined) return { action: task?.status === "running" ? "adopt" : "thaw", id, pid, pidStart };
  // Its files are still of use: they can be looked at and committed.
  if (!hasSnapshot) return { action: "markFailed", id, reason: `${lost}, and its filesystem layer is gone` };
  const exitCode = task?.status === "stopped" ? task.exitCode : killedExitCode;
  return { action: "markStopped", id, exitCode, reason: lost };
}

/** As a shell reports SIGKILL; for processes whose end nobody saw. */
const killedExitCode = 137;

/** Undefined when the recorded processes are there, running or frozen. */
function whyLost(
  { pid, pidStart }: Pick<LiveState, "pid" | "pidStart">,
  task: ObservedTask | undefined,
): string | undefined {
  if (task === undefined) return "its processes are gone: the machine or containerd was restarted";
  if (task.status === "stopped") return "it ended by itself";
  if (task.pidStart === undefined) return "its processes are gone: something killed them";
  if (task.pid !== pid || task.pidStart !== pidStart)
    return `process ${task.pid} is in the place of its own, ${pid}`;
  if (task.status === "created" || task.status === "unknown")
    return `containerd has lost track of it: its task is ${task.status}`;
  return undefined;
}

function planPaused(id: SandboxId, findings: Findings): Step | undefined {
  const lost = whatIsLost(findings);
  if (lost !== undefined) return { action: "markFailed", id, reason: lost };
  if (findings.hasContainer || findings.task !== undefined) return { action: "finishPause", id };
  return undefined;
}

function planResuming(id: SandboxId, checkpoint: string | undefined, findings: Findings): Step {
  const { task } = findings;
  // Once its processes ran, the layer has moved on from the checkpoint: there is only the way forward.
  if (task?.status === "running" && task.pidStart !== undefined) {
    return { action: "finishResume", id, pid: task.pid, pidStart: task.pidStart, ...memoryIn(checkpoint) };
  }
  const lost = whatIsLost(findings);
  if (lost !== undefined) return { action: "markFailed", id, reason: lost };
  return { action: "rollBackResume", id, ...memoryIn(checkpoint) };
}

function whatIsLost({ hasCheckpoint, hasSnapshot }: Findings): string | undefined {
  if (!hasCheckpoint) return "the checkpoint that held its memory is gone";
  if (!hasSnapshot) return "its filesystem layer is gone";
  return undefined;
}
