/**
 * Recovery: what was recorded against what is found. Pure: no clock, no I/O. The order of the steps is the
 * order to take them in: sandboxes, templates, checkpoints, leftovers, and at last the journal.
 *
 * Assumed: the agent that wrote the records is gone, so nothing of ours is in flight; whatever a caller was
 * told of is recorded; an operation is in the journal from before its first effect until after its last.
 */
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import type { Template } from "../template/template.js";
import { isOurs, type Observed } from "./observed.js";
import type { Operation } from "./operation.js";
import { planLeftovers } from "./plan-leftovers.js";
import { type Findings, planSandbox } from "./plan-sandbox.js";
import type { Step, StepAction } from "./recovery-step.js";
import type { Sandbox } from "./sandbox.js";
import type { SandboxState } from "./state.js";

export interface Recorded {
  readonly sandboxes: readonly Sandbox[];
  readonly templates: readonly Template[];
  readonly checkpoints: readonly Checkpoint[];
  readonly operations: readonly Operation[];
}

export function planRecovery(recorded: Recorded, observed: Observed): Step[] {
  const planned = planSandboxes(recorded, observed);
  const steps = [...planned.values()].filter((step) => step !== undefined);
  const kept = recorded.sandboxes.filter(({ id }) => !removes(planned.get(id)));
  const unused = unusedCheckpoints(recorded, kept, planned);
  const checkpoints = recorded.checkpoints.filter(({ id }) => !unused.includes(id));
  return [
    ...steps,
    ...failBuilds(recorded.templates),
    ...unused.map((id): Step => ({ action: "removeUnusedCheckpoint", id })),
    ...planLeftovers({ recorded, kept: { sandboxes: kept, checkpoints }, planned }, observed),
    ...recorded.operations.map(({ id }): Step => ({ action: "dropOperation", id })),
  ];
}

type Planned = ReadonlyMap<string, Step | undefined>;

function planSandboxes({ sandboxes, checkpoints, operations }: Recorded, observed: Observed): Planned {
  const tasks = new Map(observed.tasks.map((task) => [task.id, task]));
  const containers = new Set(observed.containers.filter(isOurs).map(({ id }) => id));
  const snapshots = new Set(observed.snapshots.map(({ key }) => key));
  const dirs = new Set(observed.checkpointDirs);
  const usable = new Set(checkpoints.map(({ id }) => id).filter((id) => dirs.has(id)));
  const findingsOf = ({ id, state, snapshotKey }: Sandbox): Findings => {
    const task = tasks.get(id);
    return {
      ...(task === undefined ? {} : { task }),
      hasContainer: containers.has(id),
      hasSnapshot: snapshots.has(snapshotKey),
      hasCheckpoint: hasCheckpoint(state, usable),
      operations: new Set(operations.filter((operation) => operation.sandbox === id).map(({ kind }) => kind)),
    };
  };
  return new Map(sandboxes.map((sandbox) => [sandbox.id, planSandbox(sandbox, findingsOf(sandbox))]));
}

/** One that needs none lacks none. */
function hasCheckpoint(state: SandboxState, usable: ReadonlySet<string>): boolean {
  return !("checkpoint" in state) || state.checkpoint === undefined || usable.has(state.checkpoint);
}

const removing: readonly (StepAction | undefined)[] = ["rollBackCreate", "finishDelete"];
const removes = (step: Step | undefined) => removing.includes(step?.action);

/** Stopping and deleting remove the memory of a sandbox that was paused. */
const endings: readonly (StepAction | undefined)[] = ["finishStop", "finishDelete"];
const takesMemoryAlong = (step: Step | undefined) => endings.includes(step?.action);

function failBuilds(templates: readonly Template[]): Step[] {
  const reason = "the agent ended while it was being built";
  return templates
    .filter(({ state }) => state.status === "building")
    .map(({ spec }) => ({ action: "failTemplateBuild", name: spec.name, reason }));
}

/** Those that nobody asked for by name and nothing stands on; what stands on another comes before it. */
function unusedCheckpoints(recorded: Recorded, kept: readonly Sandbox[], planned: Planned): string[] {
  const unused: string[] = [];
  for (;;) {
    const left = recorded.checkpoints.filter(({ id }) => !unused.includes(id));
    const used = usedCheckpoints(recorded.templates, left, kept, planned);
    const found = left.filter(
      ({ id, kind, sandbox }) =>
        kind !== "user" && !used.has(id) && !(kind === "pause" && takesMemoryAlong(planned.get(sandbox))),
    );
    if (found.length === 0) return unused;
    unused.push(...found.map(({ id }) => id));
  }
}

function usedCheckpoints(
  templates: readonly Template[],
  left: readonly Checkpoint[],
  kept: readonly Sandbox[],
  planned: Planned,
): ReadonlySet<string | undefined> {
  const ofSandbox = ({ id, origin, state }: Sandbox): (string | undefined)[] => {
    if (state.status === "failed" || planned.get(id)?.action === "markFailed") return [];
    return [
      "checkpoint" in origin ? origin.checkpoint : undefined,
      "checkpoint" in state ? state.checkpoint : undefined,
    ];
  };
  return new Set([
    ...kept.flatMap(ofSandbox),
    ...templates.map(({ state }) => (state.status === "ready" ? state.checkpoint : undefined)),
    ...left.map(({ base }) => base),
  ]);
}
