/** A day of load against the plan: nodes that make their slots one after another, claims that come in waves. */
import { describe, expect, it } from "vitest";
import { mebibyte } from "../../test/support/fleet.js";
import { seeded } from "../lib/random.js";
import type { NodeId } from "./node.js";
import type { PoolSettings } from "./pool.js";
import { type PoolHistory, type PoolNode, planPool, shrinkWindowMs } from "./pool-plan.js";

const settings: PoolSettings = {
  ...{ template: "python", min: 30, max: 600, minAvailableRatio: 0.15, maxAvailableRatio: 0.4 },
  schedules: [{ cron: "45 8 * * 1-5", timeZone: "UTC", durationMs: 3_600_000, min: 200 }],
};
const start = new Date("2026-01-05T00:00:00Z");
const stepMs = 15_000;
const steps = 86_400_000 / stepMs;
/** Of a node in one step: 100 ms for each. */
const madeMax = stepMs / 100;
const lifetimeSteps = 600_000 / stepMs;

interface SimulatedNode {
  told: number;
  ready: number;
}

/** Arrivals in a step: a wave over the day, a rush at nine, noise, and now and then a burst of thirty. */
function arrivals(step: number, random: () => number): number {
  const hour = (step * stepMs) / 3_600_000;
  const wave = 1 + Math.sin(((hour - 9) / 24) * 2 * Math.PI);
  const rush = hour >= 9 && hour < 9.5 ? 2 : 0;
  const burst = random() < 0.002 ? 30 : 0;
  return Math.floor((wave + rush) * 9 * random()) + burst;
}

/** Sandboxes that end in a step, each with the same chance in every step. */
function ends(claimed: number, random: () => number): number {
  const expected = claimed / lifetimeSteps;
  return Math.min(claimed, Math.floor(expected) + (random() < expected % 1 ? 1 : 0));
}

const plannedNode = ({ told, ready }: SimulatedNode, index: number): PoolNode => ({
  ...{ id: `n${index}` as NodeId, memoryBytes: 16_384 * mebibyte, memoryFreeBytes: 8_000 * mebibyte },
  ...{ slotsReady: ready, cloneBytes: 4 * mebibyte, told },
});

/** Takes slots where there are any; gives how many claims found none. */
function claim(nodes: readonly SimulatedNode[], count: number, random: () => number): number {
  let missed = 0;
  for (let each = 0; each < count; each++) {
    const start = Math.floor(random() * nodes.length);
    const found = nodes.find((_, index) => (nodes[(start + index) % nodes.length]?.ready ?? 0) > 0);
    const node = found && nodes[(start + nodes.indexOf(found)) % nodes.length];
    if (node === undefined) missed++;
    else node.ready--;
  }
  return missed;
}

function replay(seed: number) {
  const random = seeded(seed);
  const nodes: SimulatedNode[] = Array.from({ length: 20 }, () => ({ told: 0, ready: 0 }));
  const targets: {
    readonly at: number;
    readonly target: number;
    readonly claimed: number;
    isForced: boolean;
  }[] = [];
  let [claimed, claims, missed, moved] = [0, 0, 0, 0];
  let history: PoolHistory | undefined;
  for (let step = 0; step < steps; step++) {
    const now = new Date(start.getTime() + step * stepMs);
    const decision = planPool(settings, { claimed, nodes: nodes.map(plannedNode) }, history, now);
    const isForced = history !== undefined && history.target > settings.max - claimed;
    history = decision.history;
    targets.push({ at: now.getTime(), target: decision.target, claimed, isForced });
    for (const [index, node] of nodes.entries()) {
      const target = decision.nodes.get(`n${index}` as NodeId) ?? { min: 0, max: 0 };
      moved += Math.abs(target.max - node.told);
      node.told = target.max;
      node.ready = Math.min(node.told, node.ready + madeMax);
    }
    claimed -= ends(claimed, random);
    const coming = Math.min(arrivals(step, random), 1_000);
    missed += claim(nodes, coming, random);
    claimed += coming;
    claims += coming;
  }
  return { targets, claims, missed, moved };
}

describe("a day of load", () => {
  it.each([1, 2])("is met (seed %i)", (seed) => {
    const { targets, claims, missed, moved } = replay(seed);
    const early = (at: number) => at < start.getTime() + 8.75 * 3_600_000;
    const tooFew = targets.filter(({ at, target, claimed }) => early(at) && target + claimed < settings.min);
    const tooMany = targets.filter(({ target, claimed }) => target > 0 && target + claimed > settings.max);
    expect([tooFew, tooMany]).toEqual([[], []]);
    const changes = targets.filter(({ target }, index) => target !== targets[index - 1]?.target);
    expect(changes.length).toBeGreaterThan(20);
    // What shrinks has not grown for a window, unless the maximum takes it away.
    const flaps = changes.filter(({ at, target, isForced }, index) => {
      const last = changes[index - 1];
      return last !== undefined && !isForced && target < last.target && at - last.at < shrinkWindowMs;
    });
    expect(flaps).toEqual([]);
    expect(claims).toBeGreaterThan(20_000);
    expect(missed / claims).toBeLessThan(0.005);
    // No slot is told from node to node without need: as many as the target's own moves, and no more.
    const own = changes.reduce(
      (sum, { target }, index) => sum + Math.abs(target - (changes[index - 1]?.target ?? 0)),
      0,
    );
    expect(moved).toBeLessThanOrEqual(own);
  });
});
