/** Who calls: a team by its key, or the operator, for whom every team's sandboxes are there. */
import type { Metadata } from "@grpc/grpc-js";
import type { Team, TeamId } from "../fleet/team.js";
import type { IsAdmin } from "../registry/admin-key.js";
import type { Keys } from "../registry/keys.js";
import { defaultTeam, type Teams } from "../registry/teams.js";

export interface Caller {
  maySee(team: TeamId): boolean;
  /** Whose the sandboxes are that it makes. The operator's are the team `default`'s, which is made if need be. */
  team(): Promise<Team>;
}

export interface CallersDeps {
  readonly keys: Pick<Keys, "authenticate">;
  readonly teams: Pick<Teams, "ensure">;
  /** Absent without keys: everybody is the operator. */
  readonly isAdmin?: IsAdmin;
}

/** By the metadata `authorization: Bearer KEY`. Throws `unauthenticated`. */
export function openCallers({ keys, teams, isAdmin }: CallersDeps): (metadata: Metadata) => Promise<Caller> {
  const operator: Caller = { maySee: () => true, team: () => teams.ensure(defaultTeam) };
  return async (metadata) => {
    const [authorization] = metadata.get("authorization").map(String);
    if (isAdmin === undefined || isAdmin(authorization)) return operator;
    const team = await keys.authenticate(authorization?.replace(/^Bearer /, ""));
    return { maySee: (id) => id === team.id, team: async () => team };
  };
}
