import type { Database } from "better-sqlite3";
import { z } from "zod";
import type { Team, TeamLimits } from "../../fleet/team.js";
import { quote } from "../../lib/ids.js";
import { guarded } from "../../sqlite/errors.js";
import type { GroupCommit } from "../../sqlite/group-commit.js";
import { jsonColumn, parseRow } from "../../sqlite/rows.js";
import type { Teams } from "../registry-store.js";
import { present, teamColumn, timeColumn } from "./columns.js";

const limitsSchema: z.ZodType<TeamLimits> = z.strictObject({
  sandboxes: z.int().nonnegative().exactOptional(),
  cpus: z.number().nonnegative().exactOptional(),
  memoryBytes: z.int().nonnegative().exactOptional(),
  forksInFlight: z.int().nonnegative().exactOptional(),
});

const rowSchema: z.ZodType<Team> = z.strictObject({
  id: teamColumn,
  name: z.string(),
  limits: jsonColumn(limitsSchema),
  createdAt: timeColumn,
});
const parse = (row: unknown) => parseRow("teams", rowSchema, row);
const one = (row: unknown) => (row === undefined ? undefined : parse(row));

export function openTeams(db: Database, { soon }: GroupCommit): Teams {
  const select = (rest: string) =>
    db.prepare<unknown[]>(`SELECT id, name, limits, created_at AS createdAt FROM teams ${rest}`);
  const byId = select("WHERE id = ?");
  const byName = select("WHERE name = ?");
  const all = select("ORDER BY name");
  const insert = db.prepare(
    "INSERT INTO teams (id, name, limits, created_at) VALUES (@id, @name, @limits, @createdAt)",
  );
  const setLimits = db.prepare("UPDATE teams SET limits = ? WHERE id = ?");

  return {
    insert: (team) =>
      soon(() => {
        const row = { ...team, limits: JSON.stringify(team.limits), createdAt: team.createdAt.getTime() };
        guarded(`team ${team.name}`, () => insert.run(row));
      }),
    get: async (id) => guarded("teams", () => present(`team ${quote(id)}`, one(byId.get(id)))),
    findByName: async (name) => guarded("teams", () => one(byName.get(name))),
    list: async () => guarded("teams", () => all.all().map(parse)),
    setLimits: (id, limits) =>
      soon(() => {
        const team = present(`team ${quote(id)}`, one(byId.get(id)));
        guarded(`team ${team.name}`, () => setLimits.run(JSON.stringify(limits), id));
        return { ...team, limits };
      }),
  };
}
