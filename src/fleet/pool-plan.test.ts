import { describe, expect, it } from "vitest";
import { mebibyte } from "../../test/support/fleet.js";
import type { NodeId } from "./node.js";
import type { PoolSettings } from "./pool.js";
import { type PoolHistory, type PoolNode, planPool, shrinkWindowMs } from "./pool-plan.js";

const now = new Date("2026-01-05T12:00:00Z");
const later = (ms: number) => new Date(now.getTime() + ms);
const settings = (over: Partial<PoolSettings> = {}): PoolSettings => ({
  ...{ template: "python", min: 0, max: 100, minAvailableRatio: 0.2, maxAvailableRatio: 0.5, schedules: [] },
  ...over,
});
const node = (name: string, over: Partial<PoolNode> = {}): PoolNode => ({
  ...{ id: name as NodeId, memoryBytes: 16_384 * mebibyte, memoryFreeBytes: 15_000 * mebibyte },
  ...{ slotsReady: 0, cloneBytes: 4 * mebibyte, told: 0 },
  ...over,
});
const one = [node("a")];
const plan = (
  over: Partial<PoolSettings>,
  claimed: number,
  target?: number,
  nodes: readonly PoolNode[] = one,
) => planPool(settings(over), { claimed, nodes }, target === undefined ? undefined : { target }, now);

describe("the number of warm slots", () => {
  it.each<[string, Partial<PoolSettings>, number, number, number]>([
    ["is none where nothing is claimed and no minimum is set", {}, 0, 0, 0],
    ["fills the pool up to its minimum", { min: 20 }, 8, 0, 12],
    ["is a share of the pool beside what is claimed", {}, 40, 0, 10],
    ["is rounded up", {}, 41, 0, 11],
    ["is the larger one of the two", { min: 50 }, 40, 0, 10],
    ["is the larger one of the two", { min: 60 }, 40, 0, 20],
    ["stays where it is between the two ratios", {}, 40, 25, 25],
    ["stays where it is at their ends", {}, 40, 40, 40],
    ["grows at once", {}, 40, 9, 10],
    ["ends at the maximum, at once", { max: 45 }, 40, 9, 5],
    ["ends at the maximum, at once", { max: 45 }, 40, 20, 5],
    ["is none beyond the maximum", { max: 45 }, 60, 20, 0],
    ["ends at the memory of the pool, at once", { memoryBytes: 13 * mebibyte }, 40, 9, 3],
    [
      "is all that the maximum lets where all is to be warm",
      { minAvailableRatio: 1, maxAvailableRatio: 1 },
      40,
      0,
      60,
    ],
    [
      "follows no ratio where nothing is claimed",
      { min: 3, minAvailableRatio: 0, maxAvailableRatio: 0 },
      0,
      0,
      3,
    ],
    ["is none where the pool is as large as its minimum", { min: 3, minAvailableRatio: 0 }, 3, 0, 0],
  ])("%s", (_what, over, claimed, target, expected) => {
    expect(plan(over, claimed, target)).toMatchObject({ target: expected, placed: expected });
  });

  it("leaves at first what there is", () => {
    const nodes = [node("a", { slotsReady: 7 }), node("b", { slotsReady: 8 })].map(
      ({ told: _, ...rest }) => rest,
    );
    const first = planPool(settings(), { claimed: 0, nodes }, undefined, now);
    expect([first.target, ...first.nodes.values()]).toEqual([15, { min: 0, max: 7 }, { min: 0, max: 8 }]);
    expect(first.history.surplus).toEqual({ since: now, most: 0 });
  });
});

describe("nodes that nobody has told anything", () => {
  it("keep their slots when they join or return, until a window is over", () => {
    const { told: _, ...returning } = node("b", { slotsReady: 8 });
    const nodes = [node("a", { told: 7 }), returning];
    const joined = planPool(settings(), { claimed: 0, nodes }, { target: 7 }, now);
    expect([joined.target, ...joined.nodes.values()]).toEqual([15, { min: 0, max: 7 }, { min: 0, max: 8 }]);
    const told = nodes.map((each, index) => ({ ...each, told: [7, 8][index] ?? 0 }));
    const over = planPool(settings(), { claimed: 0, nodes: told }, joined.history, later(shrinkWindowMs));
    expect(over.target).toBe(0);
  });
});

describe("shrinking", () => {
  const step = (claimed: number, before: PoolHistory, ms: number) =>
    planPool(settings(), { claimed, nodes: one }, before, later(ms)).history;

  it("waits for a whole window, and then goes to the most that was wanted in it", () => {
    let history = step(10, { target: 40 }, 0);
    expect(history).toEqual({ target: 40, surplus: { since: now, most: 10 } });
    history = step(20, history, 60_000);
    history = step(5, history, shrinkWindowMs - 1);
    expect(history).toEqual({ target: 40, surplus: { since: now, most: 20 } });
    expect(step(5, history, shrinkWindowMs)).toEqual({ target: 20 });
  });

  it("begins anew once it is wanted again", () => {
    let history = step(10, { target: 40 }, 0);
    history = step(40, history, 60_000);
    expect(history).toEqual({ target: 40 });
    expect(step(10, history, shrinkWindowMs)).toEqual({
      target: 40,
      surplus: { since: later(shrinkWindowMs), most: 10 },
    });
  });
});

describe("where they are", () => {
  const counts = ({ nodes }: ReturnType<typeof plan>) =>
    [...nodes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { max }]) => max);

  it("are spread in proportion to memory", () => {
    const nodes = [node("a"), node("b"), node("c", { memoryBytes: 2 * 16_384 * mebibyte })];
    expect(counts(plan({ min: 20 }, 0, 0, nodes))).toEqual([5, 5, 10]);
  });

  it("are left where they are when more are wanted or fewer", () => {
    const nodes = [node("a", { told: 5 }), node("b", { told: 5 }), node("c", { told: 4 })];
    expect(counts(plan({ min: 15 }, 0, 14, nodes))).toEqual([5, 5, 5]);
    expect(counts(plan({ max: 13 }, 0, 14, nodes)).sort()).toEqual([4, 4, 5]);
  });

  it("are not all on the same nodes where there are many small pools", () => {
    // As machines of one kind are: not the same to the byte.
    const nodes = ["a", "b", "c"].map((name, index) =>
      node(name, { memoryBytes: 16_384 * mebibyte - index * 4096 }),
    );
    const total = new Map<NodeId, number>();
    for (let index = 0; index < 30; index++)
      for (const [id, { max }] of plan({ template: `t${index}`, min: 1 }, 0, 0, nodes).nodes)
        total.set(id, (total.get(id) ?? 0) + max);
    for (const slots of total.values()) expect(slots).toBeGreaterThanOrEqual(8);
  });

  it("stay on the node that has the odd one when the plan is made again", () => {
    const nodes = ["a", "b", "c"].map((name) => node(name));
    const first = plan({ min: 4 }, 0, 0, nodes);
    const told = nodes.map((each) => ({ ...each, told: first.nodes.get(each.id)?.max ?? 0 }));
    expect(plan({ min: 4 }, 0, 4, told).nodes).toEqual(first.nodes);
  });

  it("come little by little to a node that joins", () => {
    let told = [500, 500, 0];
    for (let step = 0; step < 50; step++) {
      const nodes = told.map((count, index) => node(`${index}`, { told: count }));
      const next = counts(plan({ min: 1000, max: 1000 }, 0, 1000, nodes));
      expect(next.reduce((sum, count) => sum + count)).toBe(1000);
      expect((next[2] ?? 0) - (told[2] ?? 0)).toBeLessThanOrEqual(10);
      told = next;
    }
    expect(told.sort()).toEqual([333, 333, 334]);
  });

  it("are not where there is no room", () => {
    const tight = node("a", {
      memoryFreeBytes: 1000 * mebibyte,
      slotsReady: 3,
      told: 3,
      cloneBytes: 100 * mebibyte,
    });
    const decision = plan({ min: 10 }, 0, 0, [tight, node("b")]);
    expect(counts(decision)).toEqual([4, 6]);
    const alone = plan({ min: 10 }, 0, 0, [tight]);
    expect([alone.target, alone.placed, ...counts(alone)]).toEqual([10, 4, 4]);
    expect(counts(plan({ min: 5000, max: 5000 }, 0, 0))).toEqual([1000]);
  });

  it("are nowhere without a node", () => {
    expect(plan({ min: 10 }, 0, 0, [])).toMatchObject({ target: 10, placed: 0 });
  });

  it("are wanted before any other template's as far as the pool has to have them", () => {
    const nodes = [node("a", { told: 20 }), node("b", { told: 20 })];
    expect([...plan({}, 40, 40, nodes).nodes.values()]).toEqual([
      { min: 5, max: 20 },
      { min: 5, max: 20 },
    ]);
  });
});

describe("why", () => {
  const dayTime = { cron: "0 8 * * 1-5", timeZone: "Europe/Berlin", durationMs: 36_000_000, min: 30 };
  it.each<[string, Partial<PoolSettings>, number, number, readonly PoolNode[]]>([
    ["10 warm: 0.2 to 0.5 of the pool are to be warm and 40 are claimed", {}, 40, 0, one],
    ["12 warm: min is 20 and 8 are claimed", { min: 20 }, 8, 0, one],
    ["5 warm: 0.2 to 0.5 of the pool are to be warm and 40 are claimed; max is 45", { max: 45 }, 40, 0, one],
    [
      "2 warm: min is 20 and 8 are claimed; the pool's memory has room for 2",
      { min: 20, memoryBytes: 8 * mebibyte },
      8,
      0,
      one,
    ],
    [
      "50 warm: 0.2 to 0.5 of the pool are to be warm and 40 are claimed; 40 would do, it shrinks at " +
        "2026-01-05T12:05:00.000Z unless more is wanted until then",
      {},
      40,
      50,
      one,
    ],
    [
      "22 warm: min is 30 and 8 are claimed; by the schedule '0 8 * * 1-5' in Europe/Berlin",
      { min: 20, schedules: [dayTime] },
      8,
      0,
      one,
    ],
    ["20 warm: min is 20 and 0 are claimed; no ready node has the template", { min: 20 }, 0, 0, []],
    [
      "20 warm: min is 20 and 0 are claimed; nodes have room for 6",
      { min: 20 },
      0,
      0,
      [node("a", { memoryFreeBytes: 1430 * mebibyte, cloneBytes: 100 * mebibyte })],
    ],
  ])("%s", (why, over, claimed, target, nodes) => {
    expect(plan(over, claimed, target, nodes).why).toBe(why);
  });
});
