/**
 * Warm slots: sandboxes restored from templates ahead of time, standing still in the freezer, that nobody owns yet.
 * They are made one at a time, while no restore waits that somebody asked for, and not in the middle of a burst of
 * claims. A start of the agent ends those of the one before.
 */
import { toDomainError } from "../lib/errors.js";
import { delay } from "../lib/signal.js";
import type { Template } from "../template/template.js";
import { type Burst, makeWayMs, withClaim } from "./claim-burst.js";
import type { Deps } from "./deps.js";
import type { SlotsView } from "./node.js";
import { type PlannedTemplate, planSlots } from "./slot-plan.js";
import { openSlotPool, type SlotPool } from "./slot-pool.js";

export interface Slots extends Pick<SlotPool, "take" | "end" | "estimate">, AsyncDisposable {
  /** Something has changed: looks whether slots are to be made or ended. */
  tend(): void;
  /** One has been claimed: the next is made once claims have stopped coming. */
  claimed(): void;
  view(template: Template): SlotsView;
}

/** How often slots are looked at without a reason, for those that have died or grown. */
const lookMs = 10_000;
/** How often it is looked, while slots make way for claims, whether one is left to be claimed. */
const wayMs = 50;

export function openSlots(deps: Deps, { budgetBytes }: { readonly budgetBytes: number }): Slots {
  const pool = openSlotPool(deps);
  const closing = new AbortController();
  const troubles = openTroubles(tend);
  const way = openWay(pool);
  let starved: readonly string[] = [];
  let isAsked = false;
  let working: Promise<void> | undefined;

  function tend(): void {
    isAsked = true;
    if (closing.signal.aborted) return;
    working ??= work()
      .catch((err: unknown) => {
        if (!closing.signal.aborted) deps.log.error({ err }, "warm slots cannot be kept");
      })
      .finally(() => {
        working = undefined;
        if (isAsked) tend();
      });
  }

  async function work(): Promise<void> {
    while (isAsked && !closing.signal.aborted) {
      await way.make(closing.signal);
      isAsked = false;
      const templates = await Promise.all(
        deps.store.templates
          .list()
          .map((template) => planned(deps, template, pool, troubles.isHeldBack(template.spec.name))),
      );
      const ready = await pool.review();
      const plan = planSlots(templates, ready, budgetBytes - pool.lingeringBytes());
      starved = plan.starved;
      for (const id of plan.end) await pool.endReady(id);
      if (plan.make === undefined) continue;
      await deps.restores.idle(closing.signal);
      await tryMake(plan.make);
      isAsked = true;
    }
  }

  async function tryMake(template: string): Promise<void> {
    try {
      await pool.make(template, closing.signal);
      troubles.over(template);
    } catch (err) {
      if (closing.signal.aborted) return;
      deps.log.warn({ err, template }, "a warm slot cannot be made");
      troubles.note(template, toDomainError(err).message);
    }
  }

  const looking = setInterval(tend, lookMs).unref();
  return {
    claimed() {
      way.claimed();
      tend();
    },
    take: pool.take,
    end: pool.end,
    estimate: pool.estimate,
    tend,
    view: (template) => viewOf(template, pool, starved.includes(template.spec.name), troubles),
    async [Symbol.asyncDispose]() {
      clearInterval(looking);
      troubles.forget();
      closing.abort();
      await working;
    },
  };
}

function viewOf(
  { spec: { name }, slots, state }: Template,
  pool: SlotPool,
  isStarved: boolean,
  troubles: ReturnType<typeof openTroubles>,
): SlotsView {
  const checkpoint = state.status === "ready" ? state.checkpoint : undefined;
  const own = pool.ready().filter((slot) => slot.checkpoint === checkpoint);
  const memoryBytes = own.reduce((sum, { bytes }) => sum + bytes, 0);
  const problem = isStarved ? "the memory for slots is used up" : troubles.messageOf(name);
  return { ...slots, ready: own.length, memoryBytes, ...(problem === undefined ? {} : { problem }) };
}

async function planned(
  { store }: Pick<Deps, "store">,
  { spec: { name }, state, slots: target }: Template,
  { estimate }: Pick<SlotPool, "estimate">,
  isHeldBack: boolean,
): Promise<PlannedTemplate> {
  const golden = state.status === "ready" ? store.checkpoints.peek(state.checkpoint) : undefined;
  const estimateBytes = golden === undefined ? 0 : await estimate(golden.id);
  return { name, checkpoint: golden?.id, target, estimateBytes, isHeldBack };
}

const heldBackMs = { first: 5_000, most: 300_000 } as const;

/** Templates whose slots could not be made: each is left alone for a while, for longer from time to time. */
function openTroubles(isOver: () => void) {
  const troubles = new Map<string, { message: string; pauseMs: number; timer?: NodeJS.Timeout }>();
  return {
    note(template: string, message: string): void {
      const last = troubles.get(template)?.pauseMs;
      const pauseMs = last === undefined ? heldBackMs.first : Math.min(2 * last, heldBackMs.most);
      const timer = setTimeout(() => {
        troubles.set(template, { message, pauseMs });
        isOver();
      }, pauseMs).unref();
      troubles.set(template, { message, pauseMs, timer });
    },
    over: (template: string) => void troubles.delete(template),
    isHeldBack: (template: string) => troubles.get(template)?.timer !== undefined,
    messageOf: (template: string) => troubles.get(template)?.message,
    forget(): void {
      for (const { timer } of troubles.values()) clearTimeout(timer);
    },
  };
}

/** Making slots, looking at them and ending them makes way for claims. */
function openWay({ ready }: Pick<SlotPool, "ready">) {
  let burst: Burst | undefined;
  return {
    claimed(): void {
      burst = withClaim(burst, performance.now());
    },
    async make(signal: AbortSignal): Promise<void> {
      for (;;) {
        const ms = makeWayMs(burst, ready().length, performance.now());
        if (ms === 0) return;
        await delay(Math.min(ms, wayMs), signal);
      }
    },
  };
}
