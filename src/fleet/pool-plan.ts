/**
 * How many warm slots a template has, and where: a pure function of what is observed, what was decided before, and the
 * time. With C sandboxes claimed, W slots are a share W / (W + C) of the pool. W stays where it is while its share is
 * between the two ratios; it grows at once, and shrinks only to what was never exceeded in a whole window.
 */
import { type SlotTarget, slotsMax } from "../template/template.js";
import type { NodeId } from "./node.js";
import type { PoolSettings } from "./pool.js";
import { type NumbersAt, numbersAt, type PoolNumbers } from "./pool-schedule.js";
import { roomBytes } from "./room.js";
import { fill, spread } from "./spread.js";

/** How long a decision looks back before it shrinks, unless it is told otherwise. */
export const shrinkWindowMs = 300_000;

export interface PoolObserved {
  /** Sandboxes of the template that are not paused or lost, over all nodes. */
  readonly claimed: number;
  /** Those that have the template and may take work. */
  readonly nodes: readonly PoolNode[];
  /** Default: shrinkWindowMs. */
  readonly windowMs?: number;
}

export interface PoolNode {
  readonly id: NodeId;
  readonly memoryBytes: number;
  readonly memoryFreeBytes: number;
  readonly slotsReady: number;
  readonly cloneBytes: number;
  /** What it was told to keep. Absent: nothing, as far as is known; it keeps what it has. */
  readonly told?: number;
}

/** What the next decision has to know of this one. */
export interface PoolHistory {
  readonly target: number;
  /** While it could be fewer: since when, and the most that was wanted since then. */
  readonly surplus?: { readonly since: Date; readonly most: number };
}

export interface PoolDecision {
  /** Warm slots that are wanted over all nodes. */
  readonly target: number;
  /** As far as nodes have room for them. */
  readonly placed: number;
  /** What each node that was given is to keep. */
  readonly nodes: ReadonlyMap<NodeId, SlotTarget>;
  /** One sentence for people. */
  readonly why: string;
  readonly history: PoolHistory;
}

export function planPool(
  settings: PoolSettings,
  { claimed, nodes: observed, windowMs = shrinkWindowMs }: PoolObserved,
  before: PoolHistory | undefined,
  now: Date,
): PoolDecision {
  const nodes = inOrder(settings.template, observed);
  const at = numbersAt(settings, now);
  const wanted = want(at.numbers, claimed, budgetOf(settings, nodes));
  const held = { ...before, target: (before?.target ?? 0) + found(nodes, before) };
  const history = decide(wanted, held, { now, windowMs });
  const { target } = history;
  const counts = spread(
    nodes.map((node) => ({
      weight: Math.max(Math.round(node.memoryBytes / weightBytes), 1),
      has: keeps(node),
      max: Math.min(slotsMax, node.slotsReady + Math.floor(roomBytes(node) / Math.max(node.cloneBytes, 1))),
    })),
    target,
  );
  const firsts = fill(
    counts.map((count) => ({ weight: Math.max(count, 1), from: 0, upTo: count })),
    wanted.least,
  );
  const placed = counts.reduce((sum, count) => sum + count, 0);
  const targets = nodes.map(
    ({ id }, index) => [id, { min: firsts[index] ?? 0, max: counts[index] ?? 0 }] as const,
  );
  const why = explain({ at, wanted, placed, nodes: nodes.length, history, windowMs });
  return { target, placed, nodes: new Map(targets), why, history };
}

/** Machines of one kind differ by some pages: they weigh the same. */
const weightBytes = 1024 ** 3;

/** Of nodes that are alike the first gets the odd slot: for each template it is another, or small pools would all be there. */
function inOrder(template: string, nodes: readonly PoolNode[]): readonly PoolNode[] {
  const first = Buffer.from(template).reduce((sum, byte) => sum + byte, 0) % Math.max(nodes.length, 1);
  return [...nodes.slice(first), ...nodes.slice(0, first)];
}

const keeps = ({ told, slotsReady }: PoolNode): number => told ?? slotsReady;

/** What comes with nodes that nobody has told anything yet, all of them at first: it is not ended at once. */
const found = (nodes: readonly PoolNode[], before: PoolHistory | undefined): number =>
  nodes.reduce((sum, node) => sum + (before === undefined || node.told === undefined ? keeps(node) : 0), 0);

interface Wanted {
  readonly least: number;
  readonly most: number;
  /** Never more, whatever the ratios say. */
  readonly ceiling: number;
  readonly because: string;
  /** What makes it less than the ratios would. */
  readonly cutBy?: string;
}

function want(
  { min, max, minAvailableRatio, maxAvailableRatio }: PoolNumbers,
  claimed: number,
  budget: number,
): Wanted {
  const byRatio = Math.ceil(warmFor(minAvailableRatio, claimed) - rounding);
  const byMin = min - claimed;
  const ceiling = Math.max(0, Math.min(max - claimed, budget));
  const least = Math.max(byRatio, byMin, 0);
  const most = Math.max(least, Math.floor(warmFor(maxAvailableRatio, claimed) + rounding));
  const because =
    byMin >= byRatio && byMin > 0
      ? `min is ${min} and ${claimed} are claimed`
      : `${minAvailableRatio} to ${maxAvailableRatio} of the pool are to be warm and ${claimed} are claimed`;
  const cut = budget < max - claimed ? `the pool's memory has room for ${budget}` : `max is ${max}`;
  return {
    ...{ least: Math.min(least, ceiling), most: Math.min(most, ceiling), ceiling, because },
    ...(least > ceiling ? { cutBy: cut } : {}),
  };
}

/** 0.2 of a pool is a quarter of the rest; no number of slots is all of a pool that has others in it. */
const warmFor = (ratio: number, claimed: number): number =>
  claimed === 0 ? 0 : (claimed * ratio) / (1 - ratio);
const rounding = 1e-6;

function budgetOf({ memoryBytes }: PoolSettings, nodes: readonly PoolNode[]): number {
  const slotBytes = nodes.reduce((most, { cloneBytes }) => Math.max(most, cloneBytes), 1);
  return memoryBytes === undefined ? Number.POSITIVE_INFINITY : Math.floor(memoryBytes / slotBytes);
}

function decide(
  { least, most, ceiling }: Wanted,
  before: PoolHistory,
  { now, windowMs }: { readonly now: Date; readonly windowMs: number },
): PoolHistory {
  const target = Math.min(Math.max(before.target, least), ceiling);
  if (target <= most) return { target };
  const since = before.surplus?.since ?? now;
  const highest = Math.max(before.surplus?.most ?? 0, most);
  if (now.getTime() - since.getTime() < windowMs) return { target, surplus: { since, most: highest } };
  return { target: Math.min(target, highest) };
}

interface Explained {
  readonly at: NumbersAt;
  readonly wanted: Wanted;
  readonly placed: number;
  readonly nodes: number;
  readonly history: PoolHistory;
  readonly windowMs: number;
}

function explain({ at, wanted, placed, nodes, history, windowMs }: Explained): string {
  const { target, surplus } = history;
  const until = surplus && new Date(surplus.since.getTime() + windowMs).toISOString();
  const parts = [
    `${target} warm: ${wanted.because}`,
    wanted.cutBy,
    until && `${surplus.most} would do, it shrinks at ${until} unless more is wanted until then`,
    at.schedule && `by the schedule '${at.schedule.cron}' in ${at.schedule.timeZone}`,
    nodes === 0 && "no ready node has the template",
    nodes > 0 && placed < target && `nodes have room for ${placed}`,
  ];
  return parts.filter((part) => typeof part === "string").join("; ");
}
