/** Connect: more time for one that runs, a resume for one that is paused. */
import { moveTo, type OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import { DomainError } from "../lib/errors.js";
import { type Deps, findOwned, needReachable, unfit } from "./deps.js";
import { putRight } from "./reconcile-sandbox.js";
import type { Connected, ConnectOptions } from "./registry.js";
import { amountOf } from "./usage.js";

export async function connectSandbox(
  deps: Deps,
  team: Team,
  id: string,
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<Connected> {
  const found = await findConnectable(deps, team, id);
  if (found.state.status === "running") {
    const extended = await extend(deps, id, options);
    if (extended !== undefined) return extended;
  }
  return deps.turns.run(
    id,
    async (linked) => {
      const sandbox = await findAtRest(deps, team, id);
      if (sandbox.state.status === "running") {
        const extended = await extend(deps, id, options);
        if (extended !== undefined) return extended;
      }
      return { sandbox: await resume(deps, team, sandbox, options, linked), wasPaused: true };
    },
    signal,
  );
}

/** One that is being deleted is told from one that is not there. */
async function findConnectable(deps: Deps, team: Team, id: string): Promise<OwnedSandbox> {
  const sandbox = await deps.owned.find(id);
  if (sandbox?.team === team.id && sandbox.state.status === "killing")
    throw new DomainError("failed_precondition", `cannot connect to sandbox ${id}: it is being deleted`);
  return findOwned(deps, team, id);
}

/** In its turn, so that nobody moves it: the end of a move may not have been learned, and its node is asked for it. */
async function findAtRest(deps: Deps, team: Team, id: string): Promise<OwnedSandbox> {
  const found = await findConnectable(deps, team, id);
  if (!isMoving(found)) return found;
  await putRight(deps, id);
  const sandbox = await findConnectable(deps, team, id);
  if (!isMoving(sandbox)) return sandbox;
  throw new DomainError(
    "unavailable",
    `sandbox ${id} was ${sandbox.state.status}, and its node does not say what became of it`,
    {
      hint: "try again",
    },
  );
}

const isMoving = ({ state: { status } }: OwnedSandbox) => status === "pausing" || status === "resuming";

/** Undefined: it does not run any more. */
async function extend(
  deps: Deps,
  id: string,
  { timeoutMs, mustBePaused = false }: ConnectOptions,
): Promise<Connected | undefined> {
  const sandbox = await deps.owned.update(id, (current) => {
    if (current.state.status !== "running") return current;
    if (mustBePaused) throw unfit(current, "resume");
    const endAt = Math.max(current.endAt.getTime(), deps.now().getTime() + timeoutMs);
    return { ...current, endAt: new Date(endAt) };
  });
  return sandbox.state.status === "running" ? { sandbox, wasPaused: false } : undefined;
}

async function resume(
  deps: Deps,
  team: Team,
  sandbox: OwnedSandbox,
  { timeoutMs, withoutMemory = false }: ConnectOptions,
  signal: AbortSignal,
): Promise<OwnedSandbox> {
  const { id, node } = sandbox;
  using reserved = deps.usage.reserve(team, amountOf(sandbox));
  needReachable(deps, node);
  const { sandboxes } = deps.nodes.api(node);
  await deps.owned.update(id, (current) => {
    if (current.state.status !== "paused") throw unfit(current, "resume");
    const { keepsMemory } = current.state;
    return { ...current, state: moveTo(current.state, { status: "resuming", keepsMemory }) };
  });
  reserved[Symbol.dispose]();
  try {
    await sandboxes.resume({ sandbox: id, withoutMemory }, { signal, timeoutMs: deps.settings.workMs });
    return await deps.owned.update(id, (current) => {
      if (current.state.status !== "resuming") throw unfit(current, "resume");
      const running = moveTo(current.state, { status: "running" });
      return { ...current, state: running, endAt: new Date(deps.now().getTime() + timeoutMs) };
    });
  } catch (thrown) {
    await putRight(deps, id);
    throw thrown;
  }
}
