import { describe, expect, it } from "vitest";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { noSlots, type Template } from "../template/template.js";
import type { Observed, ObservedTask } from "./observed.js";
import type { Operation, OperationKind } from "./operation.js";
import { planRecovery, type Recorded } from "./plan.js";
import { type Executors, executeStep, type Step } from "./recovery-step.js";
import { parseSandboxId, type Sandbox, type SandboxSpec } from "./sandbox.js";
import { type SandboxState, type SandboxStatus, sandboxStatuses } from "./state.js";

const now = new Date("2026-01-02T03:04:05Z");
const id = (text: string) => parseSandboxId(text.padEnd(20, "0"));
const spec: SandboxSpec = {
  image: "i",
  env: {},
  user: "",
  cwd: "/",
  limits: {},
  allowPrivilegeEscalation: false,
  guestVersion: "g1",
};
const live = { pid: 42, pidStart: "boot-7" };
const states: Record<SandboxStatus, SandboxState> = {
  creating: { status: "creating", since: now },
  running: { status: "running", since: now, ...live },
  checkpointing: { status: "checkpointing", since: now, ...live },
  pausing: { status: "pausing", since: now, ...live },
  paused: { status: "paused", since: now, checkpoint: id("c1") },
  resuming: { status: "resuming", since: now, checkpoint: id("c1") },
  stopping: { status: "stopping", since: now },
  stopped: { status: "stopped", since: now, exitCode: 0 },
  failed: { status: "failed", since: now, reason: "x" },
};
const sandbox = (name: string, state: SandboxState, over: Partial<Sandbox> = {}): Sandbox => ({
  id: id(name),
  spec,
  origin: { kind: "image", image: "i" },
  labels: {},
  generation: 1,
  snapshotKey: `sandbox-${name}`,
  createdAt: now,
  isSlot: false,
  state,
  ...over,
});
const checkpoint = (name: string, over: Partial<Checkpoint> = {}): Checkpoint => ({
  id: id(name),
  kind: "user",
  sandbox: id("s1"),
  spec,
  generation: 1,
  snapshotKey: `checkpoint-${name}`,
  memoryBytes: 1,
  inheritedBytes: 0,
  layerBytes: 1,
  freezeMs: 1,
  createdAt: now,
  ...over,
});
const template = (name: string, state: Template["state"]): Template => ({
  spec: { name, image: "i", readyTimeoutMs: 1, env: {}, limits: {}, allowPrivilegeEscalation: false },
  slots: noSlots,
  createdAt: now,
  state,
});
const operation = (kind: OperationKind, of: Partial<Operation> = {}): Operation => ({
  id: `op-${kind}`,
  kind,
  args: {},
  step: "",
  startedAt: now,
  ...of,
});
const ours = { "ramet.sandbox": "x" };
const layer = { key: "sandbox-s1", parent: "", labels: ours };
const nothing: Observed = { containers: [], tasks: [], snapshots: [], sandboxDirs: [], checkpointDirs: [] };
const noRecords: Recorded = { sandboxes: [], templates: [], checkpoints: [], operations: [] };
const plan = (recorded: Partial<Recorded>, observed: Partial<Observed> = {}) =>
  planRecovery({ ...noRecords, ...recorded }, { ...nothing, ...observed });
const actions = (steps: readonly Step[]) => steps.map((step) => step.action);

type Found = "none" | "created" | "running" | "frozen" | "stopped" | "gone" | "reused" | "unknown";
const task = (over: Partial<ObservedTask>): ObservedTask => ({
  id: id("s1"),
  status: "running",
  exitCode: 0,
  ...live,
  ...over,
});
const { pidStart: _, ...goneTask } = task({ exitCode: 255 });
const tasks: Record<Found, readonly ObservedTask[]> = {
  none: [],
  created: [task({ status: "created" })],
  running: [task({})],
  frozen: [task({ status: "paused" })],
  stopped: [{ ...goneTask, status: "stopped", exitCode: 3 }],
  // containerd says that it runs, but no process has its pid.
  gone: [goneTask],
  // Another process has its pid.
  reused: [task({ pidStart: "boot-9" })],
  unknown: [task({ status: "unknown" })],
};
const allFound = Object.keys(tasks) as Found[];

/** What happens to the sandbox itself; `-` is nothing. In the order of `allFound`. */
const whole: Record<SandboxStatus, string> = {
  //            none           created        running        frozen         stopped        gone           reused         unknown
  creating:
    "rollBackCreate rollBackCreate rollBackCreate rollBackCreate rollBackCreate rollBackCreate rollBackCreate rollBackCreate",
  running: "markStopped markStopped adopt thaw markStopped markStopped markStopped markStopped",
  checkpointing: "markStopped markStopped adopt thaw markStopped markStopped markStopped markStopped",
  pausing: "markStopped markStopped adopt thaw markStopped markStopped markStopped markStopped",
  paused: "- finishPause finishPause finishPause finishPause finishPause finishPause finishPause",
  resuming:
    "rollBackResume rollBackResume finishResume rollBackResume rollBackResume rollBackResume finishResume rollBackResume",
  stopping: "finishStop finishStop finishStop finishStop finishStop finishStop finishStop finishStop",
  stopped:
    "- removeOrphanContainer removeOrphanContainer removeOrphanContainer removeOrphanContainer removeOrphanContainer removeOrphanContainer removeOrphanContainer",
  failed:
    "- removeOrphanContainer removeOrphanContainer removeOrphanContainer removeOrphanContainer removeOrphanContainer removeOrphanContainer removeOrphanContainer",
};

/** A live one whose claim nobody was told of ends; else a delete comes first, a stop before a sandbox's running on. */
function decide(status: SandboxStatus, kind: OperationKind | undefined, otherwise: string): string {
  const isLive = status === "running" && (otherwise === "adopt" || otherwise === "thaw");
  if (kind === "claim" && isLive) return "rollBackCreate";
  if (kind === "delete") return "finishDelete";
  return kind === "stop" && status === "running" ? "finishStop" : otherwise;
}

describe("one sandbox: every status, every finding, every operation cut short", () => {
  const operations: (OperationKind | undefined)[] = [
    undefined,
    "create",
    "fork",
    "checkpoint",
    "pause",
    "resume",
    "stop",
    "claim",
    "delete",
    "commit",
  ];
  const rows = sandboxStatuses.flatMap((status) =>
    allFound.flatMap((found, index) =>
      operations.map((kind) => ({ status, found, kind, expected: whole[status].split(" ")[index] ?? "" })),
    ),
  );

  it.each(rows)("$status, task $found, operation $kind", ({ status, found, kind, expected }) => {
    const steps = plan(
      {
        sandboxes: [sandbox("s1", states[status])],
        checkpoints: [checkpoint("c1", { kind: "pause", snapshotKey: "sandbox-s1" })],
        operations: kind === undefined ? [] : [operation(kind, { sandbox: id("s1") })],
      },
      {
        tasks: tasks[found],
        containers: found === "none" ? [] : [{ id: id("s1"), labels: ours }],
        snapshots: [{ key: "sandbox-s1", parent: "", labels: ours }],
        checkpointDirs: [id("c1")],
      },
    );
    const own = steps.filter((step) => "id" in step && step.id === id("s1")).map((step) => step.action);
    expect(own.join(" ") || "-").toBe(decide(status, kind, expected));
    expect(actions(steps).filter((action) => action === "dropOperation").length).toBe(
      kind === undefined ? 0 : 1,
    );
    if (kind !== undefined) expect(actions(steps).at(-1)).toBe("dropOperation");
  });

  it.each<[string, SandboxStatus, Partial<Observed>, Partial<Step>]>([
    ["adopts with pid and start time", "running", { tasks: tasks.running }, { action: "adopt", ...live }],
    [
      "keeps the exit code",
      "running",
      { tasks: tasks.stopped, snapshots: [layer] },
      { action: "markStopped", exitCode: 3, reason: "it ended by itself" },
    ],
    [
      "keeps the files of one whose processes a reboot took",
      "running",
      { snapshots: [layer] },
      { action: "markStopped", exitCode: 137 },
    ],
    [
      "fails one that has lost its files too",
      "checkpointing",
      { tasks: tasks.gone },
      {
        action: "markFailed",
        reason: expect.stringMatching(/killed them, and its filesystem layer is gone$/),
      },
    ],
    [
      "records the new process of a finished resume",
      "resuming",
      { tasks: [task({ pid: 77, pidStart: "boot-8" })] },
      { action: "finishResume", pid: 77, pidStart: "boot-8", checkpoint: id("c1") },
    ],
    [
      "fails a paused one whose checkpoint is gone",
      "paused",
      { snapshots: [layer] },
      { action: "markFailed", reason: "the checkpoint that held its memory is gone" },
    ],
    [
      "fails a paused one whose layer is gone",
      "paused",
      { checkpointDirs: [id("c1")] },
      { action: "markFailed", reason: "its filesystem layer is gone" },
    ],
    ["fails a resuming one whose checkpoint is gone", "resuming", {}, { action: "markFailed" }],
  ])("%s", (_name, status, observed, expected) => {
    const checkpoints = [checkpoint("c1", { kind: "pause", snapshotKey: "sandbox-s1" })];
    const [step] = plan({ sandboxes: [sandbox("s1", states[status])], checkpoints }, observed);
    expect(step).toMatchObject(expected);
  });
});

describe("the whole", () => {
  it("does nothing when nothing is there, or all is well", () => {
    expect(plan({})).toEqual([]);
    const steps = plan(
      {
        sandboxes: [sandbox("p", states.paused), sandbox("d", states.stopped)],
        checkpoints: [
          checkpoint("c1", { kind: "pause", sandbox: id("p"), snapshotKey: "sandbox-p" }),
          checkpoint("u"),
        ],
        templates: [template("t", { status: "failed", since: now, reason: "x" })],
      },
      {
        snapshots: ["sandbox-p", "sandbox-d", "checkpoint-u"].map((key) => ({
          key,
          parent: "",
          labels: ours,
        })),
        checkpointDirs: [id("c1"), id("u"), "lost+found"],
      },
    );
    expect(steps).toEqual([]);
  });

  it("needs no memory where only the files were kept", () => {
    const found = { snapshots: [layer] };
    const files = (status: "paused" | "resuming") => [sandbox("s1", { status, since: now })];
    expect(actions(plan({ sandboxes: files("paused") }, found))).toEqual([]);
    expect(plan({ sandboxes: files("resuming") }, found)).toEqual([
      { action: "rollBackResume", id: id("s1") },
    ]);
    const runs = { ...found, tasks: tasks.running };
    expect(plan({ sandboxes: files("resuming") }, runs)).toEqual([
      { action: "finishResume", id: id("s1"), ...live },
    ]);
  });

  it("removes only what is ours and unrecorded: containers, layers from the top, directories", () => {
    const steps = plan(
      { sandboxes: [sandbox("s1", states.running)], checkpoints: [checkpoint("c2")] },
      {
        tasks: tasks.running,
        containers: [
          { id: id("s1"), labels: ours },
          { id: id("stray"), labels: ours },
          { id: id("foreign"), labels: { other: "x" } },
        ],
        snapshots: [
          { key: "sandbox-s1", parent: "image", labels: ours },
          { key: "checkpoint-c2", parent: "image", labels: ours },
          { key: "low", parent: "image", labels: ours },
          { key: "top", parent: "low", labels: ours },
          { key: "image", parent: "", labels: {} },
        ],
        sandboxDirs: [id("s1"), id("stray"), id("old"), "notes"],
        checkpointDirs: [id("c2"), `${id("c2")}.partial`, id("c9"), "lost+found"],
      },
    );
    expect(steps).toEqual([
      { action: "adopt", id: id("s1"), ...live },
      { action: "removeOrphanContainer", id: id("stray") },
      { action: "removeOrphanSnapshot", key: "top" },
      { action: "removeOrphanSnapshot", key: "low" },
      { action: "removeOrphanDirectory", id: id("old") },
      { action: "removeOrphanCheckpointDirectory", name: `${id("c2")}.partial` },
      { action: "removeOrphanCheckpointDirectory", name: id("c9") },
    ]);
  });

  it("frees what a failed sandbox still holds", () => {
    const steps = plan(
      { sandboxes: [sandbox("s1", states.failed)] },
      {
        containers: [{ id: id("s1"), labels: ours }],
        snapshots: [{ key: "sandbox-s1", parent: "", labels: ours }],
        sandboxDirs: [id("s1")],
      },
    );
    expect(actions(steps)).toEqual(["removeOrphanContainer", "removeOrphanSnapshot"]);
  });

  it("rolls back the clones of a fork that nobody was told of, keeps the others, and the layer under them", () => {
    const origin = { kind: "fork", source: id("s1"), checkpoint: id("f") } as const;
    const clone = (name: string, state: SandboxState) => sandbox(name, state, { origin });
    const recorded = {
      sandboxes: [sandbox("s1", states.running), clone("k1", states.running), clone("k2", states.creating)],
      checkpoints: [checkpoint("f", { kind: "fork" })],
      operations: [operation("fork", { sandbox: id("s1"), checkpoint: id("f") })],
    };
    const observed = {
      tasks: [...tasks.running, task({ id: id("k1") }), task({ id: id("k2") })],
      checkpointDirs: [id("f")],
    };
    expect(plan(recorded, observed)).toEqual([
      { action: "adopt", id: id("s1"), ...live },
      { action: "adopt", id: id("k1"), ...live },
      { action: "rollBackCreate", id: id("k2") },
      { action: "removeOrphanCheckpointDirectory", name: id("f") },
      { action: "dropOperation", id: "op-fork" },
    ]);
    const none = { ...recorded, sandboxes: recorded.sandboxes.filter((s) => s.id !== id("k1")) };
    expect(plan(none, observed)).toContainEqual({ action: "removeUnusedCheckpoint", id: id("f") });
  });

  it("removes checkpoints that belong to nothing, those on top first, and no others", () => {
    const steps = plan(
      {
        templates: [template("t", { status: "ready", since: now, checkpoint: id("golden") })],
        checkpoints: [
          checkpoint("golden", { kind: "golden" }),
          checkpoint("old", { kind: "golden" }),
          checkpoint("mid", { kind: "fork", base: id("old") }),
          checkpoint("under", { kind: "golden" }),
          checkpoint("user", { base: id("under") }),
        ],
      },
      { checkpointDirs: [id("golden"), id("old"), id("under"), id("user")] },
    );
    expect(steps).toEqual([
      { action: "removeUnusedCheckpoint", id: id("mid") },
      { action: "removeUnusedCheckpoint", id: id("old") },
    ]);
  });

  it("leaves the memory of a sandbox to the step that ends it", () => {
    const steps = plan(
      { sandboxes: [sandbox("s1", states.stopping)], checkpoints: [checkpoint("c1", { kind: "pause" })] },
      { checkpointDirs: [id("c1")] },
    );
    expect(actions(steps)).toEqual(["finishStop"]);
    const failed = plan({
      sandboxes: [sandbox("s1", states.paused)],
      checkpoints: [checkpoint("c1", { kind: "pause" })],
    });
    expect(actions(failed)).toEqual(["markFailed", "removeUnusedCheckpoint"]);
  });

  it("fails a template that was being built", () => {
    const steps = plan({
      templates: [template("t", { status: "building", since: now })],
      operations: [operation("build_template", { template: "t", sandbox: id("b") })],
    });
    expect(steps).toEqual([
      { action: "failTemplateBuild", name: "t", reason: "the agent ended while it was being built" },
      { action: "dropOperation", id: "op-build_template" },
    ]);
  });
});

describe("executeStep", () => {
  it("hands a step to its executor", async () => {
    const seen: Step[] = [];
    const executors = new Proxy({} as Executors, {
      get: () => async (step: Step) => void seen.push(step),
    });
    const step = { action: "finishStop", id: id("s1") } as const;
    await executeStep(step, executors, new AbortController().signal);
    expect(seen).toEqual([step]);
  });
});
