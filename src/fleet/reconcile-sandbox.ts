/** One sandbox: what is recorded of it against what its node says. Pure. */
import type { SandboxStatus } from "../sandbox/state.js";
import type { ReportedSandbox } from "./node.js";
import type { ReconcileStep } from "./reconcile-step.js";
import { moveTo, type OwnedSandbox, type OwnedState } from "./sandbox.js";

/** What a status means to whoever owns the sandbox. moving: another status follows soon, by itself. */
const meaning = {
  creating: "moving",
  running: "runs",
  checkpointing: "runs",
  pausing: "moving",
  paused: "paused",
  resuming: "moving",
  stopping: "moving",
  stopped: "stopped",
  failed: "failed",
} as const satisfies Record<SandboxStatus, string>;

/** Nothing, where the two agree or will. */
export function planSandbox(
  recorded: OwnedSandbox,
  reported: ReportedSandbox,
  now: Date,
): ReconcileStep | undefined {
  const { id, state } = recorded;
  if (state.status === "killing") return { action: "end", id, reason: "it was being deleted" };
  switch (meaning[reported.status]) {
    case "moving":
      return undefined;
    case "runs":
      return state.status === "running" ? undefined : adopt(recorded, { status: "running" }, now);
    case "paused":
      if (state.status === "paused") return undefined;
      return adopt(recorded, { status: "paused", keepsMemory: reported.keepsMemory ?? true }, now);
    case "stopped":
      return { action: "end", id, reason: reported.reason ?? "its processes have ended" };
    case "failed":
      return { action: "end", id, reason: reported.reason ?? "it failed" };
  }
}

/** Time that stood still while it was paused begins anew; time that ran on has run on. */
function adopt({ id, state, endAt, timeoutMs }: OwnedSandbox, to: OwnedState, now: Date): ReconcileStep {
  const wasPaused =
    state.status === "paused" || state.status === "resuming" || (state.status === "lost" && state.wasPaused);
  const end = () => {
    if (to.status === "running") return wasPaused ? new Date(now.getTime() + timeoutMs) : endAt;
    return state.status === "lost" && state.wasPaused ? endAt : now;
  };
  return { action: "adopt", id, state: moveTo(state, to), endAt: end() };
}
