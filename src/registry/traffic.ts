/** Requests to sandboxes themselves: which one, whether it can be reached now, and waking it where it wants that. */
import type { OwnedSandbox } from "../fleet/sandbox.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { isId } from "../lib/ids.js";
import { shareWork } from "../lib/shared-work.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import { connectSandbox } from "./connect.js";
import type { Deps } from "./deps.js";

export interface Traffic {
  /** Whoever's. Undefined: there is none, or it is being deleted. */
  find(id: string): Promise<OwnedSandbox | undefined>;
  /**
   * What `find` gave, as it runs. One that is pausing or resuming is waited for; a paused one that resumes on traffic is resumed, once
   * for all that wait. Undefined: it does not run, and nothing will make it.
   */
  reach(sandbox: OwnedSandbox, signal: AbortSignal): Promise<OwnedSandbox | undefined>;
}

/** A sandbox that wakes runs for as long as it was given when it was made, and at least so long. */
const wakeMsMin = 300_000;
/** Moves that are waited for, one after another. */
const movesMax = 8;

export function openTraffic(deps: Deps, teams: Pick<RegistryStore["teams"], "get">): Traffic {
  async function find(id: string): Promise<OwnedSandbox | undefined> {
    const sandbox = isId(id) ? await deps.owned.find(id) : undefined;
    return sandbox?.state.status === "killing" ? undefined : sandbox;
  }

  async function wake({ id, team, timeoutMs }: OwnedSandbox, signal: AbortSignal) {
    const options = { timeoutMs: Math.max(timeoutMs, wakeMsMin) };
    try {
      return (await connectSandbox(deps, await teams.get(team), id, options, signal)).sandbox;
    } catch (thrown) {
      if (isDomainError(thrown, "not_found")) return undefined;
      throw thrown;
    }
  }

  /** What it is now, or `moving`: it has to be looked at again. */
  async function step(
    sandbox: OwnedSandbox,
    signal: AbortSignal,
  ): Promise<OwnedSandbox | undefined | "moving"> {
    switch (sandbox.state.status) {
      case "running":
        return sandbox;
      case "killing":
      case "lost":
        return undefined;
      case "paused":
        return wakesOnTraffic(sandbox) ? wake(sandbox, signal) : undefined;
      case "pausing":
      case "resuming":
        // Whatever moves it has the turn.
        await deps.turns.run(sandbox.id, async () => {}, signal);
        return "moving";
    }
  }

  /** However many wait for it, it is one operation of the sandbox: others have their turns beside it. */
  const rest = shareWork(async (id, signal) => {
    for (let moves = 0; moves < movesMax; moves++) {
      const sandbox = await find(id);
      const reached = sandbox === undefined ? undefined : await step(sandbox, signal);
      if (reached !== "moving") return reached;
    }
    throw new DomainError("unavailable", `sandbox ${id} does not come to rest`);
  });

  return {
    find,
    reach: async (known, signal) => (known.state.status === "running" ? known : await rest(known.id, signal)),
  };
}

function wakesOnTraffic({ state, onTimeout }: OwnedSandbox): boolean {
  return (
    state.status === "paused" && state.keepsMemory && onTimeout.kind === "pause" && onTimeout.resumesOnTraffic
  );
}
