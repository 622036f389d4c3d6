/** Time-outs: what each sandbox's record says, kept in order, and done when it is due. */
import { moveTo, type OwnedSandbox, type SandboxOutline } from "../fleet/sandbox.js";
import { createDeadlineQueue } from "../lib/deadline-queue.js";
import { isDomainError } from "../lib/errors.js";
import { createLimiter, type Limiter } from "../lib/limit.js";
import type { Deps } from "./deps.js";
import { endOnNode } from "./kill.js";
import { pauseOnNode } from "./pause.js";
import { putRight } from "./reconcile-sandbox.js";
import type { PauseOptions } from "./registry.js";

/** How often it is looked at what is due. */
export const sweepEveryMs = 200;
const dueAtOnce = 1_000;
/** Time-outs that are carried out at once on one node. */
const perNode = 32;
/** When it is tried again: a node that was away, a dump that failed. */
const againMs = 5_000;
/** A move whose end was not learned, e.g. because the node did not answer, is looked into after so long. */
const stuckMs = 30_000;
/** A sandbox that cannot be paused is killed so long after its time. */
const pauseTriesMs = 300_000;

export interface Expiry {
  /** A record has changed, or is gone. */
  changed(id: string, sandbox: SandboxOutline | undefined): void;
  /** Begins what is due now; gives the promises of it. */
  sweep(): readonly Promise<void>[];
}

export function createExpiry(deps: () => Deps): Expiry {
  const queue = createDeadlineQueue();
  const limiters = new Map<string, Limiter>();
  const busy = new Set<string>();

  function changed(id: string, sandbox: SandboxOutline | undefined): void {
    const at = sandbox === undefined ? undefined : dueAt(sandbox, deps().now());
    if (at === undefined) queue.delete(id);
    else queue.set(id, at);
  }

  function limiterOf(node: string): Limiter {
    const limiter = limiters.get(node) ?? createLimiter(perNode);
    limiters.set(node, limiter);
    return limiter;
  }

  async function expire(id: string): Promise<void> {
    if (busy.has(id)) return;
    busy.add(id);
    try {
      const sandbox = await deps().owned.find(id);
      if (sandbox !== undefined) await limiterOf(sandbox.node).run(() => carryOut(deps(), id));
    } catch (thrown) {
      deps().log.warn({ err: thrown, sandbox: id }, "a sandbox whose time is up is still there");
    } finally {
      busy.delete(id);
      const left = await deps()
        .owned.find(id)
        .catch(() => undefined);
      // What is still due is tried again, and not at once.
      const at = left === undefined ? undefined : dueAt(left, deps().now());
      if (at !== undefined) queue.set(id, Math.max(at, deps().now().getTime() + againMs));
    }
  }

  return {
    changed,
    sweep: () => queue.takeDue(deps().now().getTime(), dueAtOnce).map(expire),
  };
}

/** Undefined: nothing has to be done at any time. */
function dueAt({ state, endAt }: Pick<SandboxOutline, "state" | "endAt">, now: Date): number | undefined {
  switch (state.status) {
    case "running":
      return endAt.getTime();
    case "killing":
      return now.getTime() + againMs;
    case "pausing":
    case "resuming":
      return now.getTime() + stuckMs;
    case "paused":
    case "lost":
      return undefined;
  }
}

async function carryOut(deps: Deps, id: string): Promise<void> {
  await deps.turns.run(id, async (signal) => {
    const sandbox = await deps.owned.find(id);
    if (sandbox === undefined) return;
    const { state, node } = sandbox;
    // On a node that is away this is done when it is back, and reports what it has; a kill is recorded before.
    if (needsNode(sandbox) && deps.nodes.get(node).health !== "ready") return;
    if (state.status === "killing") return endOnNode(deps, sandbox);
    // In its turn, so that nobody else is at it.
    if (state.status === "pausing" || state.status === "resuming") return putRight(deps, id);
    if (!isDue(sandbox, deps.now())) return;
    if (sandbox.onTimeout.kind === "kill") return killDue(deps, sandbox);
    await pauseDue(deps, sandbox, sandbox.onTimeout, signal);
  });
}

const needsNode = ({ state, onTimeout }: OwnedSandbox) =>
  state.status !== "running" || onTimeout.kind === "pause";
const isDue = ({ state, endAt }: OwnedSandbox, now: Date) => state.status === "running" && endAt <= now;

async function killDue(deps: Deps, { id }: OwnedSandbox): Promise<void> {
  const sandbox = await deps.owned.update(id, (current) =>
    // It may have been given more time in this moment.
    isDue(current, deps.now())
      ? { ...current, state: moveTo(current.state, { status: "killing" }) }
      : current,
  );
  if (sandbox.state.status === "killing") await endOnNode(deps, sandbox);
}

async function pauseDue(
  deps: Deps,
  sandbox: OwnedSandbox,
  options: PauseOptions,
  signal: AbortSignal,
): Promise<void> {
  try {
    await pauseOnNode(deps, sandbox, options, signal, (current) => isDue(current, deps.now()));
  } catch (thrown) {
    const isOver = deps.now().getTime() - sandbox.endAt.getTime() > pauseTriesMs;
    const isAway = isDomainError(thrown, "unavailable");
    if (!isOver || isAway) throw thrown;
    deps.log.error({ err: thrown, sandbox: sandbox.id }, "a sandbox cannot be paused and is killed");
    await killDue(deps, sandbox);
  }
}
