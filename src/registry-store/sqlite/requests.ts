import type { Database } from "better-sqlite3";
import { z } from "zod";
import { guarded } from "../../sqlite/errors.js";
import type { GroupCommit } from "../../sqlite/group-commit.js";
import { jsonColumn, parseRow } from "../../sqlite/rows.js";
import type { AnsweredRequest, Requests } from "../registry-store.js";
import { inserting, teamColumn, timeColumn } from "./columns.js";

const rowSchema: z.ZodType<AnsweredRequest> = z.strictObject({
  team: teamColumn,
  key: z.string(),
  requestHash: z.string(),
  sandboxes: jsonColumn(z.array(z.string())),
  answeredAt: timeColumn,
});

/** So many in one step: a long pause without cleaning up must not stop everything else. */
const removedAtOnce = 2000;

/** To be called within a transaction. */
export type InsertRequest = (request: AnsweredRequest) => void;

export function openRequests(
  db: Database,
  { soon }: GroupCommit,
): { readonly requests: Requests; readonly insertRequest: InsertRequest } {
  const byKey =
    db.prepare(`SELECT team, key, request_hash AS requestHash, sandboxes, answered_at AS answeredAt
    FROM requests WHERE team = ? AND key = ?`);
  const insert = db.prepare(`INSERT INTO requests (team, key, request_hash, sandboxes, answered_at)
    VALUES (@team, @key, @requestHash, @sandboxes, @answeredAt)`);
  const remove = db.prepare(`DELETE FROM requests WHERE (team, key) IN
    (SELECT team, key FROM requests WHERE answered_at < ? ORDER BY answered_at LIMIT ${removedAtOnce})`);

  const requests: Requests = {
    find: async (team, key) =>
      guarded("requests", () => {
        const row = byKey.get(team, key);
        return row === undefined ? undefined : parseRow("requests", rowSchema, row);
      }),
    async removeAnswered(before) {
      for (let removed = 0; ; ) {
        const { changes } = await soon(() => guarded("requests", () => remove.run(before.getTime())));
        removed += changes;
        if (changes < removedAtOnce) return removed;
      }
    },
  };
  return {
    requests,
    insertRequest: (request) => {
      const sandboxes = JSON.stringify(request.sandboxes);
      inserting(`request ${request.key}`, "team", () =>
        insert.run({ ...request, sandboxes, answeredAt: request.answeredAt.getTime() }),
      );
    },
  };
}
