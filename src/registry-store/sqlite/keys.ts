import type { Database } from "better-sqlite3";
import { z } from "zod";
import type { ApiKey } from "../../fleet/team.js";
import { quote } from "../../lib/ids.js";
import { guarded } from "../../sqlite/errors.js";
import type { GroupCommit } from "../../sqlite/group-commit.js";
import { parseRow } from "../../sqlite/rows.js";
import type { ApiKeys } from "../registry-store.js";
import { inserting, present, teamColumn, timeColumn } from "./columns.js";

const rowSchema: z.ZodType<ApiKey> = z.strictObject({
  id: z.string(),
  team: teamColumn,
  name: z.string(),
  hash: z.string(),
  mask: z.string(),
  createdAt: timeColumn,
  revokedAt: timeColumn.exactOptional(),
});
const parse = (row: unknown) => parseRow("keys", rowSchema, row);
const one = (row: unknown) => (row === undefined ? undefined : parse(row));

export function openKeys(db: Database, { soon }: GroupCommit): ApiKeys {
  const select = (rest: string) =>
    db.prepare<unknown[]>(`SELECT id, team, name, hash, mask, created_at AS createdAt, revoked_at AS revokedAt
      FROM keys ${rest}`);
  const byHash = select("WHERE hash = ?");
  const byTeam = select("WHERE team = ? ORDER BY created_at, rowid");
  const ofTeam = select("WHERE team = ? AND id = ?");
  const insert = db.prepare(`INSERT INTO keys (id, team, name, hash, mask, created_at, revoked_at)
    VALUES (@id, @team, @name, @hash, @mask, @createdAt, @revokedAt)`);
  const revoke = db.prepare("UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL");

  return {
    insert: (key) =>
      soon(() => {
        const { createdAt, revokedAt } = key;
        const row = { ...key, createdAt: createdAt.getTime(), revokedAt: revokedAt?.getTime() ?? null };
        inserting(`key ${key.id}`, "team", () => insert.run(row));
      }),
    findByHash: async (hash) => guarded("keys", () => one(byHash.get(hash))),
    list: async (team) => guarded("keys", () => byTeam.all(team).map(parse)),
    revoke: (team, id, at) =>
      soon(() => {
        const key = present(`key ${quote(id)} of this team`, one(ofTeam.get(team, id)));
        guarded(`key ${id}`, () => revoke.run(at.getTime(), id));
        return { ...key, revokedAt: key.revokedAt ?? at };
      }),
  };
}
