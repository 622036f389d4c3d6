/** Pools: once a second the plan (src/fleet/pool-plan.ts) is made for each, and nodes are told what has changed. */
import type { AgentApi } from "../agent-client/agent-api.js";
import type { NodeId } from "../fleet/node.js";
import type { PoolSettings } from "../fleet/pool.js";
import { type PoolDecision, type PoolHistory, type PoolNode, planPool } from "../fleet/pool-plan.js";
import { checkPool } from "../fleet/pool-schedule.js";
import type { Clock } from "../lib/clock.js";
import { DomainError, toDomainError } from "../lib/errors.js";
import { isName, quote } from "../lib/ids.js";
import { settleLimited } from "../lib/limit.js";
import type { Logger } from "../lib/log.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import { noSlots, type SlotTarget } from "../template/template.js";
import type { NodeView } from "./nodes.js";
import { forgetAway, ordersOf, type Told, tell } from "./pool-orders.js";

export interface PoolsParts {
  readonly store: Pick<RegistryStore, "pools">;
  readonly nodes: {
    list(): readonly NodeView[];
    api(id: NodeId): { readonly templates: Pick<AgentApi["templates"], "setSlots"> };
  };
  /** Sandboxes of the template, by the name that nodes know, that are not paused or lost. */
  claimed(template: string): Promise<number>;
  /** How long a pool must be too large before it shrinks. Default 300,000. */
  readonly windowMs?: number;
  readonly now: Clock;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
}

export interface PoolView {
  readonly settings: PoolSettings;
  /** Absent until the first decision. */
  readonly state?: PoolState;
}

export interface PoolState extends Pick<PoolDecision, "target" | "placed" | "why"> {
  readonly decidedAt: Date;
  readonly claimed: number;
  /** Warm slots that can be claimed now, and the nodes that have the template. */
  readonly ready: number;
  readonly nodes: number;
  /** What nodes have answered that did not do as they were told. */
  readonly problems: readonly string[];
}

export type PoolChange = {
  readonly [K in keyof Omit<PoolSettings, "template">]?: PoolSettings[K] | null | undefined;
};

export interface Pools extends AsyncDisposable {
  /** Makes it, or changes what is named; null takes a value back to its default. `invalid_argument`. */
  set(template: string, change: PoolChange): Promise<PoolView>;
  /** `not_found`. */
  get(template: string): Promise<PoolView>;
  list(): Promise<readonly PoolView[]>;
  /** Its slots are ended. `not_found`. */
  remove(template: string): Promise<void>;
  /** Plans and tells once; what comes while it runs is done after it. It is called once a second anyway. */
  round(): Promise<void>;
}

type Defaults = Omit<PoolSettings, "template" | "memoryBytes">;

const defaults: Defaults = {
  min: 0,
  max: 100,
  minAvailableRatio: 0.1,
  maxAvailableRatio: 0.5,
  schedules: [],
};
const everyMs = 1_000;
/** For so long after a start, nodes that have not reported yet are waited for. */
const settleMs = 10_000;
const toldAtOnce = 16;

interface Known extends Told {
  /** The pool is removed, and everybody is to be told. */
  isEnding: boolean;
  history?: PoolHistory;
  state?: Omit<PoolState, "problems">;
}

export function openPools(parts: PoolsParts): Pools {
  const { store, log } = parts;
  const known = new Map<string, Known>();
  const settledAt = parts.now().getTime() + settleMs;
  const closing = new AbortController();
  let working: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;

  function round(): Promise<void> {
    // One that has not begun sees what has changed until it does.
    waiting ??= working.then(() => {
      waiting = undefined;
      // What is told to those that come first is not what is right for all of them.
      if (parts.now().getTime() < settledAt && parts.nodes.list().some(({ report }) => report === undefined))
        return undefined;
      working = planAll(parts, known, closing.signal);
      return working;
    });
    return waiting;
  }

  function tend(): void {
    round().catch((err: unknown) => {
      if (!closing.signal.aborted) log.error({ err: toDomainError(err) }, "pools cannot be tended");
      working = Promise.resolve();
    });
  }

  const ticking = setInterval(tend, everyMs).unref();
  const viewOf = (settings: PoolSettings): PoolView => {
    const it = known.get(settings.template);
    if (it?.state === undefined) return { settings };
    return { settings, state: { ...it.state, problems: [...it.problems.values()] } };
  };
  async function find(template: string): Promise<PoolSettings> {
    const settings = await store.pools.get(template);
    if (settings !== undefined) return settings;
    throw new DomainError("not_found", `template ${quote(template)} has no pool`, {
      hint: "see `ramet pool ls`",
    });
  }
  return {
    round,
    async set(template, change) {
      if (!isName(template))
        throw new DomainError("invalid_argument", `${quote(template)} is no template's name`);
      const settings = changed(template, await store.pools.get(template), change);
      checkPool(settings);
      await store.pools.set(settings);
      log.info({ ...settings }, "a pool is set");
      tend();
      return viewOf(settings);
    },
    get: async (template) => viewOf(await find(template)),
    list: async () => (await store.pools.list()).map(viewOf),
    async remove(template) {
      await find(template);
      await store.pools.remove(template);
      log.info({ template }, "a pool is removed");
      tend();
    },
    async [Symbol.asyncDispose]() {
      clearInterval(ticking);
      closing.abort();
      await waiting?.catch(() => {});
      await working.catch(() => {});
    },
  };
}

function changed(template: string, stored: PoolSettings | undefined, change: PoolChange): PoolSettings {
  const before: Defaults = stored ?? defaults;
  const pick = <K extends keyof Defaults>(name: K): Defaults[K] => {
    const given: Defaults[K] | null | undefined = change[name];
    return given === undefined ? before[name] : (given ?? defaults[name]);
  };
  const memoryBytes = change.memoryBytes === undefined ? stored?.memoryBytes : change.memoryBytes;
  return {
    ...{ template, min: pick("min"), max: pick("max"), schedules: pick("schedules") },
    ...{ minAvailableRatio: pick("minAvailableRatio"), maxAvailableRatio: pick("maxAvailableRatio") },
    ...(memoryBytes === null || memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

async function planAll(parts: PoolsParts, known: Map<string, Known>, signal: AbortSignal): Promise<void> {
  const pools = await parts.store.pools.list();
  const all = parts.nodes.list();
  const views = all.filter(({ health }) => health === "ready");
  const idsOf = (some: readonly NodeView[]) => new Set(some.map(({ record }) => record.id));
  const [members, here] = [idsOf(all), idsOf(views)];
  for (const it of known.values()) forgetAway(it, here, members);
  const removed = await parts.store.pools.listRemoved();
  for (const template of removed) endEverywhere(template, knownOf(template, known), all);
  const wanted = new Map<string, ReadonlyMap<NodeId, SlotTarget>>();
  for (const settings of pools) {
    const claimed = await parts.claimed(settings.template);
    wanted.set(settings.template, planOne(parts, { views, claimed, settings }, known));
  }
  const orders = [...known].flatMap(([template, it]) => ordersOf(template, it, wanted.get(template), here));
  await settleLimited(orders, toldAtOnce, (order) => tell(parts, order, signal), signal);
  for (const [template, { told, away }] of known) {
    if (wanted.has(template) || told.size + away.size > 0) continue;
    if (removed.includes(template)) await parts.store.pools.forget(template);
    known.delete(template);
  }
}

function knownOf(template: string, pools: Map<string, Known>): Known {
  const it = pools.get(template) ?? {
    told: new Map(),
    away: new Set(),
    problems: new Map(),
    isEnding: false,
  };
  pools.set(template, it);
  return it;
}

/** Who was told of it before this process began is not known: all are told, but those that do not have the template. */
function endEverywhere(template: string, it: Known, views: readonly NodeView[]): void {
  for (const { record, report } of views) {
    const hasIt = report?.templates.some(({ name }) => name === template) ?? true;
    if (!hasIt) it.away.delete(record.id);
    else if (!it.isEnding && !it.told.has(record.id)) it.away.add(record.id);
  }
  it.isEnding = true;
  delete it.history;
  delete it.state;
}

interface Observed {
  readonly views: readonly NodeView[];
  readonly claimed: number;
  readonly settings: PoolSettings;
}

function planOne(
  { now, windowMs }: PoolsParts,
  { views, claimed, settings }: Observed,
  pools: Map<string, Known>,
): ReadonlyMap<NodeId, SlotTarget> {
  const { template } = settings;
  const it = knownOf(template, pools);
  it.isEnding = false;
  const holders = views.flatMap((view) => holderOf(view, template, it));
  // What a template that is gone was told, one of the same name was not.
  const holding = new Set(holders.map(({ id }) => id));
  for (const id of it.told.keys()) if (!holding.has(id)) it.told.delete(id);
  const open = holders.filter(({ isCordoned }) => !isCordoned);
  const decidedAt = now();
  const observed = { claimed, nodes: open, ...(windowMs === undefined ? {} : { windowMs }) };
  const { target, placed, why, nodes, history } = planPool(settings, observed, it.history, decidedAt);
  it.history = history;
  const ready = holders.reduce((sum, { slotsReady }) => sum + slotsReady, 0);
  it.state = { target, placed, why, decidedAt, claimed, ready, nodes: holders.length };
  const closed = holders.filter(({ isCordoned }) => isCordoned).map(({ id }) => [id, noSlots] as const);
  return new Map([...nodes, ...closed]);
}

interface Holder extends PoolNode {
  readonly isCordoned: boolean;
}

function holderOf({ record, report }: NodeView, template: string, { told }: Known): Holder[] {
  const held = report?.templates.find(({ name }) => name === template);
  if (report === undefined || held === undefined) return [];
  const { memoryBytes, memoryFreeBytes } = report;
  const { slotsReady, cloneBytes } = held;
  const max = told.get(record.id)?.max;
  return [
    {
      ...{
        id: record.id,
        isCordoned: record.isCordoned,
        memoryBytes,
        memoryFreeBytes,
        slotsReady,
        cloneBytes,
      },
      ...(max === undefined ? {} : { told: max }),
    },
  ];
}
