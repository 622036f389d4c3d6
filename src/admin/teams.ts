/** /admin/v1/teams: teams, their limits and their keys. */
import { z } from "zod";
import type { ApiKey, Team } from "../fleet/team.js";
import type { Keys } from "../registry/keys.js";
import type { Teams } from "../registry/teams.js";
import { type AdminRoute, route } from "./routes.js";

const count = z.int().min(0).max(1_000_000_000);
const cpus = z.number().min(0).max(1_000_000_000);
const bytes = z.int().min(0);

const limitsSchema = z.strictObject({
  sandboxes: count.exactOptional(),
  cpus: cpus.exactOptional(),
  memoryBytes: bytes.exactOptional(),
  forksInFlight: count.exactOptional(),
});
const limitChangeSchema = z.strictObject({
  sandboxes: count.nullable().exactOptional(),
  cpus: cpus.nullable().exactOptional(),
  memoryBytes: bytes.nullable().exactOptional(),
  forksInFlight: count.nullable().exactOptional(),
});
const createSchema = z.strictObject({ name: z.string(), limits: limitsSchema.default({}) });
const changeSchema = z.strictObject({ limits: limitChangeSchema });
const keySchema = z.strictObject({ name: z.string().max(100).default("") });

export interface TeamRoutesDeps {
  readonly teams: Teams;
  readonly keys: Pick<Keys, "create" | "list" | "revoke">;
}

export function teamRoutes({ teams, keys }: TeamRoutesDeps): readonly AdminRoute[] {
  return [
    route("GET /teams", {}, async () => (await teams.list()).map(teamView)),
    route("POST /teams", { body: createSchema, status: 201 }, async ({ body: { name, limits } }) =>
      teamView(await teams.create(name, limits)),
    ),
    route("GET /teams/:team", {}, async ({ param }) => teamView(await teams.find(param("team")))),
    route("PATCH /teams/:team", { body: changeSchema }, async ({ param, body: { limits } }) =>
      teamView(await teams.limit(param("team"), limits)),
    ),
    route("GET /teams/:team/keys", {}, async ({ param }) => {
      const team = await teams.find(param("team"));
      return (await keys.list(team)).map((key) => keyView(team, key));
    }),
    route("POST /teams/:team/keys", { body: keySchema, status: 201 }, async ({ param, body: { name } }) => {
      const team = await teams.find(param("team"));
      const { record, key } = await keys.create(team, name);
      return { ...keyView(team, record), key };
    }),
    route("DELETE /teams/:team/keys/:key", {}, async ({ param }) => {
      const team = await teams.find(param("team"));
      return keyView(team, await keys.revoke(team, param("key")));
    }),
  ];
}

function teamView({ id, name, limits, createdAt }: Team) {
  return { id, name, limits, createdAt: createdAt.toISOString() };
}

/** Never the hash. */
function keyView(team: Team, { id, name, mask, createdAt, revokedAt }: ApiKey) {
  const revoked = revokedAt === undefined ? {} : { revokedAt: revokedAt.toISOString() };
  return { id, team: team.name, name, mask, createdAt: createdAt.toISOString(), ...revoked };
}
