/** Verbs of teams. */
import type { Team, TeamId, TeamLimits } from "../fleet/team.js";
import type { Clock } from "../lib/clock.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { isId, parseName, quote, randomId } from "../lib/ids.js";
import { createKeyedQueue } from "../lib/keyed-queue.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import type { Keys } from "./keys.js";

/** Whose sandboxes are that nobody's key was used for: without keys, or with the admin key. */
export const defaultTeam = "default";

export interface Teams {
  /** `already_exists`: the name is taken. */
  create(name: string, limits: TeamLimits): Promise<Team>;
  /** The one of this name; it is made if there is none yet. */
  ensure(name: string): Promise<Team>;
  /** By id or name; `not_found`. */
  find(ref: string): Promise<Team>;
  list(): Promise<readonly Team[]>;
  /** Changes what is named; null takes a limit away. */
  limit(ref: string, change: LimitChange): Promise<Team>;
}

export type LimitChange = { readonly [K in keyof TeamLimits]: TeamLimits[K] | null };

export interface TeamsDeps {
  readonly store: Pick<RegistryStore, "teams">;
  readonly keys: Pick<Keys, "forget">;
  readonly now: Clock;
}

/** Changes of one team's limits that may wait for each other. */
const changesWaitingMax = 100;

export function openTeams({ store, keys, now }: TeamsDeps): Teams {
  const turns = createKeyedQueue({ waitingMax: changesWaitingMax });

  async function create(name: string, limits: TeamLimits): Promise<Team> {
    const team: Team = { id: randomId() as TeamId, name: parseName("team", name), limits, createdAt: now() };
    try {
      await store.teams.insert(team);
    } catch (cause) {
      if (!isDomainError(cause, "already_exists")) throw cause;
      throw new DomainError("already_exists", `there is a team ${quote(name)} already`, {
        cause,
        hint: "see `ramet team ls`",
      });
    }
    return team;
  }

  async function find(ref: string): Promise<Team> {
    const found = (await store.teams.findByName(ref)) ?? (isId(ref) ? await byId(ref as TeamId) : undefined);
    if (found !== undefined) return found;
    throw new DomainError("not_found", `there is no team ${quote(ref)}`, { hint: "see `ramet team ls`" });
  }

  async function byId(id: TeamId): Promise<Team | undefined> {
    try {
      return await store.teams.get(id);
    } catch (thrown) {
      if (isDomainError(thrown, "not_found")) return undefined;
      throw thrown;
    }
  }

  return {
    create,
    find,
    async ensure(name) {
      return (await store.teams.findByName(name)) ?? (await create(name, {}));
    },
    list: () => store.teams.list(),
    async limit(ref, change) {
      const { id } = await find(ref);
      return await turns.run(id, async () => {
        const { limits } = await store.teams.get(id);
        const kept = Object.entries({ ...limits, ...change }).filter(
          ([, limit]) => typeof limit === "number",
        );
        const team = await store.teams.setLimits(id, Object.fromEntries(kept));
        keys.forget();
        return team;
      });
    },
  };
}
