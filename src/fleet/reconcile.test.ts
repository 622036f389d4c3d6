import { describe, expect, it } from "vitest";
import { type SandboxStatus, sandboxStatuses } from "../sandbox/state.js";
import { requestLabel } from "./labels.js";
import type { NodeId, ReportedSandbox } from "./node.js";
import { graceMs, planLost, planReconcile, type ReconcileInput, type Suspects } from "./reconcile.js";
import { planSandbox } from "./reconcile-sandbox.js";
import type { OwnedSandbox, OwnedState } from "./sandbox.js";
import type { TeamId } from "./team.js";

const node = "n1" as NodeId;
const at = (seconds: number) => new Date(Date.UTC(2026, 0, 2, 3, 0, seconds));
const now = at(0);
const [pausedAt, endAt] = [at(-100), at(100)];
const timeoutMs = 300_000;
const again = at(300);

const record = (state: OwnedState, over: Partial<OwnedSandbox> = {}): OwnedSandbox => ({
  id: "s1",
  team: "t1" as TeamId,
  node,
  template: "base",
  state,
  startedAt: at(-200),
  endAt: state.status === "paused" ? pausedAt : endAt,
  timeoutMs,
  onTimeout: { kind: "kill" },
  metadata: {},
  allowInternetAccess: true,
  cpus: 1,
  memoryBytes: 1,
  diskBytes: 1,
  ...over,
});
const reported = (status: SandboxStatus, over: Partial<ReportedSandbox> = {}): ReportedSandbox => ({
  ...{ id: "s1", status, since: at(-1), labels: { [requestLabel]: "r1" } },
  ...over,
});

const paused: OwnedState = { status: "paused", keepsMemory: true };
const files: OwnedState = { status: "paused", keepsMemory: false };
const lost = (wasPaused: boolean): OwnedState => ({ status: "lost", lastSeenAt: at(-50), wasPaused });
const states: Record<string, OwnedState> = {
  running: { status: "running" },
  pausing: { status: "pausing" },
  paused,
  files,
  resuming: { status: "resuming", keepsMemory: true },
  starting: { status: "resuming", keepsMemory: false },
  killing: { status: "killing" },
  lost: lost(false),
  lostPaused: lost(true),
};

describe("planSandbox", () => {
  const nothing = undefined;
  const end = { action: "end" };
  const runs = (until: Date) => ({ action: "adopt", state: { status: "running" }, endAt: until });
  const pauses = (state: OwnedState, since: Date) => ({ action: "adopt", state, endAt: since });

  // creating, pausing, resuming and stopping are like creating; checkpointing is like running.
  it.each<[keyof typeof states, { creating: unknown; running: unknown; paused: unknown; stopped: unknown }]>([
    ["running", { creating: nothing, running: nothing, paused: pauses(paused, now), stopped: end }],
    ["pausing", { creating: nothing, running: runs(endAt), paused: pauses(paused, now), stopped: end }],
    ["paused", { creating: nothing, running: runs(again), paused: nothing, stopped: end }],
    ["files", { creating: nothing, running: runs(again), paused: nothing, stopped: end }],
    ["resuming", { creating: nothing, running: runs(again), paused: pauses(paused, now), stopped: end }],
    ["starting", { creating: nothing, running: runs(again), paused: pauses(paused, now), stopped: end }],
    ["killing", { creating: end, running: end, paused: end, stopped: end }],
    ["lost", { creating: nothing, running: runs(endAt), paused: pauses(paused, now), stopped: end }],
    [
      "lostPaused",
      {
        creating: nothing,
        running: runs(again),
        paused: pauses(paused, endAt),
        stopped: end,
      },
    ],
  ])("takes over what the node says of one recorded as %s", (name, expected) => {
    const recorded = record(states[name] ?? paused);
    const planned = (status: SandboxStatus) => planSandbox(recorded, reported(status), now);
    const matches = (status: SandboxStatus, wanted: unknown) =>
      wanted === undefined
        ? expect(planned(status)).toBeUndefined()
        : expect(planned(status)).toMatchObject({ id: "s1", ...(wanted as object) });
    for (const status of ["creating", "pausing", "resuming", "stopping"] as const)
      matches(status, expected.creating);
    for (const status of ["running", "checkpointing"] as const) matches(status, expected.running);
    matches("paused", expected.paused);
    matches("stopped", expected.stopped);
    matches("failed", end);
  });

  it("makes no move that is not in the table, and needs no second one", () => {
    for (const state of Object.values(states))
      for (const status of sandboxStatuses) {
        const step = planSandbox(record(state), reported(status), now);
        if (step?.action !== "adopt") continue;
        const adopted = record(step.state, { endAt: step.endAt });
        expect(planSandbox(adopted, reported(status), now)).toBeUndefined();
      }
  });

  it("takes over that only the files were kept", () => {
    const inFiles = reported("paused", { keepsMemory: false });
    for (const name of ["running", "pausing", "starting", "lost", "lostPaused"])
      expect(planSandbox(record(states[name] ?? paused), inFiles, now)).toMatchObject({ state: files });
  });

  it("passes on why it failed", () => {
    const failed = reported("failed", { reason: "out of memory" });
    expect(planSandbox(record({ status: "running" }), failed, now)).toMatchObject({
      reason: "out of memory",
    });
  });
});

const running = record({ status: "running" });
const none: Suspects = new Map();
const difference = (sandboxes: ReportedSandbox[], gone: string[] = []) => ({
  isWhole: false,
  sandboxes,
  gone,
});
const whole = (...sandboxes: ReportedSandbox[]) => ({ isWhole: true, sandboxes, gone: [] });
const plan = (over: Partial<ReconcileInput>) =>
  planReconcile({
    ...{ node, inventory: difference([]), recorded: new Map(), inFlight: new Set(), suspects: none, now },
    ...over,
  });
const recordedAs = (...records: OwnedSandbox[]) => new Map(records.map((each) => [each.id, each]));
const later = new Date(now.getTime() + graceMs);

describe("planReconcile", () => {
  it("has nothing to do where both agree", () => {
    for (const inventory of [whole(reported("running")), difference([reported("running")])])
      expect(plan({ inventory, recorded: recordedAs(running) })).toEqual({ steps: [], suspects: none });
  });

  it("takes over what has changed", () => {
    const inventory = difference([reported("paused"), reported("failed", { id: "s2" })]);
    const recorded = recordedAs(running, { ...running, id: "s2" });
    expect(plan({ inventory, recorded }).steps).toMatchObject([
      { action: "adopt", id: "s1", state: paused },
      { action: "end", id: "s2" },
    ]);
  });

  it("forgets at once what the node says is gone, and only what is recorded there", () => {
    const elsewhere = { ...running, id: "s2", node: "n2" as NodeId };
    const inventory = difference([], ["s1", "s2", "s3"]);
    expect(plan({ inventory, recorded: recordedAs(running, elsewhere) })).toMatchObject({
      steps: [{ action: "forget", id: "s1" }],
      suspects: none,
    });
  });

  it("touches nothing that is recorded on another node", () => {
    const recorded = recordedAs({ ...running, node: "n2" as NodeId });
    for (const inventory of [whole(reported("running")), difference([reported("running")])])
      expect(plan({ inventory, recorded })).toEqual({
        steps: [{ action: "dispute", id: "s1", recordedOn: "n2" }],
        suspects: none,
      });
  });
});

describe("a sandbox without a record", () => {
  const inventory = difference([reported("running")]);

  it("is reaped when it is still there without one after the grace, by any kind of inventory", () => {
    const first = plan({ inventory });
    expect(first.steps).toEqual([]);
    const just = plan({ suspects: first.suspects, now: new Date(later.getTime() - 1) });
    expect(just.steps).toEqual([]);
    for (const next of [difference([]), inventory, whole(reported("paused"))])
      expect(plan({ inventory: next, suspects: just.suspects, now: later }).steps).toEqual([
        { action: "reap", id: "s1", request: "r1" },
      ]);
  });

  it("is reaped again until it is gone", () => {
    const { suspects } = plan({ inventory });
    const reaped = plan({ suspects, now: later });
    expect(plan({ suspects: reaped.suspects, now: later }).steps).toHaveLength(1);
    for (const next of [difference([], ["s1"]), whole()])
      expect(plan({ inventory: next, suspects: reaped.suspects, now: later })).toEqual({
        steps: [],
        suspects: none,
      });
  });

  it("is left alone once it has one", () => {
    const { suspects } = plan({ inventory });
    expect(plan({ suspects, recorded: recordedAs(running), now: later })).toEqual({
      steps: [],
      suspects: none,
    });
  });

  it("is left alone while its request is in flight; the grace begins after it", () => {
    const inFlight = new Set(["r1"]);
    let suspects = plan({ inventory, inFlight }).suspects;
    for (let seconds = 0; seconds <= 60; seconds++) {
      const step = plan({ suspects, inFlight, now: at(seconds) });
      expect(step.steps).toEqual([]);
      suspects = step.suspects;
    }
    const over = plan({ suspects, now: at(61) });
    expect(over.steps).toEqual([]);
    expect(plan({ suspects: over.suspects, now: at(69) }).steps).toEqual([]);
    expect(plan({ suspects: over.suspects, now: at(70) }).steps).toHaveLength(1);
  });

  it("is none of the registry's business without the label", () => {
    for (const status of sandboxStatuses) {
      const foreign = whole(reported(status, { labels: { other: "x" } }));
      expect(plan({ inventory: foreign })).toEqual({ steps: [], suspects: none });
    }
  });
});

describe("a record that a whole inventory does not list", () => {
  const recorded = recordedAs(running);

  it("is forgotten after the grace", () => {
    const first = plan({ inventory: whole(), recorded });
    expect(first.steps).toEqual([]);
    expect(plan({ recorded, suspects: first.suspects, now: new Date(later.getTime() - 1) }).steps).toEqual(
      [],
    );
    for (const inventory of [difference([]), whole()])
      expect(plan({ inventory, recorded, suspects: first.suspects, now: later }).steps).toMatchObject([
        { action: "forget", id: "s1" },
      ]);
  });

  it("is kept when the inventory was older than the record", () => {
    const first = plan({ inventory: whole(), recorded });
    for (const inventory of [difference([reported("running")]), whole(reported("running"))])
      expect(plan({ inventory, recorded, suspects: first.suspects, now: later })).toEqual({
        steps: [],
        suspects: none,
      });
  });

  it("is no suspect any more when it was deleted meanwhile, or is found on another node", () => {
    const first = plan({ inventory: whole(), recorded });
    for (const records of [recordedAs(), recordedAs({ ...running, node: "n2" as NodeId })])
      expect(plan({ recorded: records, suspects: first.suspects, now: later })).toEqual({
        steps: [],
        suspects: none,
      });
  });
});

describe("planLost", () => {
  it("shows all as lost but those that are, or are to be deleted, with when they were last seen", () => {
    const lostAgain = (wasPaused: boolean) => ({ status: "lost", lastSeenAt: at(-9), wasPaused });
    const planned = Object.entries(states).map(([name, state]) => [
      name,
      planLost([record(state)], at(-9)).map((step) => (step.action === "adopt" ? step.state : step)),
    ]);
    expect(Object.fromEntries(planned)).toEqual({
      running: [lostAgain(false)],
      pausing: [lostAgain(false)],
      paused: [lostAgain(true)],
      files: [lostAgain(true)],
      resuming: [lostAgain(true)],
      starting: [lostAgain(true)],
      killing: [],
      lost: [],
      lostPaused: [],
    });
  });
});
