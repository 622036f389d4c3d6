import type { Database } from "better-sqlite3";
import { z } from "zod";
import { DomainError } from "../../lib/errors.js";
import { quote } from "../../lib/ids.js";
import { guarded } from "../../sqlite/errors.js";
import type { GroupCommit } from "../../sqlite/group-commit.js";
import { parseRow } from "../../sqlite/rows.js";
import type { JoinToken, JoinTokens } from "../registry-store.js";
import { nodeColumn, present, timeColumn } from "./columns.js";
import type { InsertNode } from "./nodes.js";

const rowSchema: z.ZodType<JoinToken> = z.strictObject({
  id: z.string(),
  hash: z.string(),
  createdAt: timeColumn,
  expiresAt: timeColumn,
  usedBy: nodeColumn.exactOptional(),
});
const parse = (row: unknown) => parseRow("join_tokens", rowSchema, row);
const one = (row: unknown) => (row === undefined ? undefined : parse(row));

export function openTokens(db: Database, { soon }: GroupCommit, insertNode: InsertNode): JoinTokens {
  const select = (where: string) =>
    db.prepare<
      unknown[]
    >(`SELECT id, hash, created_at AS createdAt, expires_at AS expiresAt, used_by AS usedBy
      FROM join_tokens ${where}`);
  const byId = select("WHERE id = ?");
  const byHash = select("WHERE hash = ?");
  const insert = db.prepare(`INSERT INTO join_tokens (id, hash, created_at, expires_at, used_by)
    VALUES (@id, @hash, @createdAt, @expiresAt, @usedBy)`);
  const use = db.prepare("UPDATE join_tokens SET used_by = ? WHERE id = ?");
  const removeExpired = db.prepare("DELETE FROM join_tokens WHERE expires_at < ?");

  return {
    insert: (token) =>
      soon(() => {
        const { createdAt, expiresAt, usedBy = null } = token;
        const row = { ...token, createdAt: createdAt.getTime(), expiresAt: expiresAt.getTime(), usedBy };
        guarded(`token ${token.id}`, () => void insert.run(row));
      }),
    findByHash: async (hash) => guarded("tokens", () => one(byHash.get(hash))),
    useFor: (id, node) =>
      soon(() => {
        const token = present(`token ${quote(id)}`, one(byId.get(id)));
        if (token.usedBy !== undefined)
          throw new DomainError("failed_precondition", "the token has been used", {
            hint: "a token lets one node join: make another",
          });
        insertNode(node);
        guarded(`token ${id}`, () => use.run(node.id, id));
      }),
    removeExpired: (before) =>
      soon(() => guarded("tokens", () => removeExpired.run(before.getTime()).changes)),
  };
}
