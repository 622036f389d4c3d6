/** What verbs work with. Each takes the part that it needs. */
import type { Fleet } from "../fleet/fleet.js";
import type { NodeId } from "../fleet/node.js";
import { shrinkWindowMs } from "../fleet/pool-plan.js";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import type { Bell } from "../lib/bell.js";
import type { Clock } from "../lib/clock.js";
import { DomainError } from "../lib/errors.js";
import { isId, quote } from "../lib/ids.js";
import type { Logger } from "../lib/log.js";
import type { OwnedSandboxes, RegistryStore } from "../registry-store/registry-store.js";
import type { Leftovers } from "./leftovers.js";
import type { Metrics } from "./metrics.js";
import type { Nodes } from "./nodes.js";
import type { Turns } from "./turns.js";
import type { Usage } from "./usage.js";

export interface Deps {
  readonly store: Pick<RegistryStore, "catalogue" | "requests">;
  readonly owned: OwnedSandboxes;
  readonly fleet: Pick<Fleet, "choose" | "slots">;
  readonly nodes: Pick<Nodes, "list" | "get" | "api">;
  readonly turns: Turns;
  readonly usage: Usage;
  readonly metrics: Metrics;
  readonly leftovers: Leftovers;
  /** Ids of requests whose sandboxes are recorded as soon as they are made, and the node that makes them. */
  readonly inFlight: Map<string, NodeId>;
  /** Rung when a node may have room again. */
  readonly freed: Bell;
  readonly now: Clock;
  /** At least 0 and below 1. */
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  readonly settings: RegistrySettings;
}

export interface RegistrySettings {
  /** Bound of one call of a node that makes, pauses or resumes sandboxes. */
  readonly workMs: number;
  /** Of one that asks, or deletes. */
  readonly askMs: number;
  /** How long a create waits for room, and how many may. */
  readonly roomWaitMs: number;
  readonly roomWaitingMax: number;
  /** How long a pool must be too large before it shrinks. */
  readonly poolWindowMs: number;
}

export const defaultSettings: RegistrySettings = {
  workMs: 120_000,
  askMs: 15_000,
  roomWaitMs: 3_000,
  roomWaitingMax: 256,
  poolWindowMs: shrinkWindowMs,
};

/** `not_found`: there is none, it is another team's, or it is being deleted. */
export async function findOwned(
  { owned }: Pick<Deps, "owned">,
  team: Pick<Team, "id">,
  id: string,
): Promise<OwnedSandbox> {
  const sandbox = isId(id) ? await owned.find(id) : undefined;
  if (sandbox === undefined || sandbox.team !== team.id || sandbox.state.status === "killing")
    throw noSandbox(id);
  return sandbox;
}

export function noSandbox(id: string): DomainError {
  return new DomainError("not_found", `sandbox ${quote(id)} not found`);
}

/** What to say of one that is not in the state that a verb needs. */
export function unfit({ id, state }: OwnedSandbox, verb: string): DomainError {
  if (state.status === "lost")
    return new DomainError(
      "unavailable",
      `cannot ${verb} sandbox ${id}: its node is lost, it was last seen at ${state.lastSeenAt.toISOString()}`,
      { hint: "it comes back with its node" },
    );
  return new DomainError("failed_precondition", `cannot ${verb} sandbox ${id}: it is ${state.status}`);
}

/** Before a move is recorded that would not be begun. `unavailable`. */
export function needReachable({ nodes }: Pick<Deps, "nodes">, id: NodeId): void {
  const { record, health } = nodes.get(id);
  if (health === "ready") return;
  throw new DomainError("unavailable", `node ${record.name} is ${health}`, {
    hint: "try again once it is back: see `ramet node ls`",
  });
}
