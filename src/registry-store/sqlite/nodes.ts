import type { Database } from "better-sqlite3";
import { z } from "zod";
import type { NodeRecord } from "../../fleet/node.js";
import { DomainError, isDomainError } from "../../lib/errors.js";
import { quote } from "../../lib/ids.js";
import { guarded } from "../../sqlite/errors.js";
import type { GroupCommit } from "../../sqlite/group-commit.js";
import { parseRow } from "../../sqlite/rows.js";
import type { NodeRecords } from "../registry-store.js";
import { flagColumn, nodeColumn, present, timeColumn } from "./columns.js";

const rowSchema: z.ZodType<NodeRecord> = z.strictObject({
  id: nodeColumn,
  name: z.string(),
  address: z.string(),
  certificate: z.string(),
  joinedAt: timeColumn,
  isCordoned: flagColumn,
  seenAt: timeColumn,
});
const parse = (row: unknown) => parseRow("nodes", rowSchema, row);
const one = (row: unknown) => (row === undefined ? undefined : parse(row));

/** To be called within a transaction. */
export type InsertNode = (node: NodeRecord) => void;

export function openNodes(
  db: Database,
  { soon }: GroupCommit,
): { readonly nodes: NodeRecords; readonly insertNode: InsertNode } {
  const select = (rest: string) =>
    db.prepare<unknown[]>(`SELECT id, name, address, certificate, joined_at AS joinedAt,
      is_cordoned AS isCordoned, seen_at AS seenAt FROM nodes ${rest}`);
  const byId = select("WHERE id = ?");
  const all = select("ORDER BY name");
  const insert =
    db.prepare(`INSERT INTO nodes (id, name, address, certificate, joined_at, is_cordoned, seen_at)
    VALUES (@id, @name, @address, @certificate, @joinedAt, @isCordoned, @seenAt)`);
  const update = db.prepare(`UPDATE nodes SET address = @address, is_cordoned = @isCordoned, seen_at = @seenAt
    WHERE id = @id`);
  const remove = db.prepare("DELETE FROM nodes WHERE id = ?");

  const get = (id: string) => present(`node ${quote(id)}`, one(byId.get(id)));
  const insertNode = (node: NodeRecord) =>
    guarded(`node ${node.name}`, () => void insert.run({ ...bind(node), ...identity(node) }));
  const nodes: NodeRecords = {
    insert: (node) => soon(() => insertNode(node)),
    get: async (id) => guarded("nodes", () => get(id)),
    list: async () => guarded("nodes", () => all.all().map(parse)),
    update: (id, change) =>
      soon(() => {
        const node = { ...get(id), ...change };
        guarded(`node ${node.name}`, () => update.run(bind(node)));
        return node;
      }),
    delete: (id) =>
      soon(() => {
        const { name } = get(id);
        try {
          guarded(`node ${name}`, () => void remove.run(id));
        } catch (thrown) {
          if (!isDomainError(thrown, "failed_precondition")) throw thrown;
          throw new DomainError(
            "failed_precondition",
            `sandboxes or snapshots are recorded on node ${name}`,
            {
              cause: thrown,
              hint: "drain it and let them end; of a node that is lost for good, `ramet node rm --force` forgets them too",
            },
          );
        }
      }),
  };
  return { nodes, insertNode };
}

const identity = ({ name, certificate, joinedAt }: NodeRecord) => ({
  name,
  certificate,
  joinedAt: joinedAt.getTime(),
});

const bind = ({ id, address, isCordoned, seenAt }: NodeRecord) => ({
  id,
  address,
  isCordoned: Number(isCordoned),
  seenAt: seenAt.getTime(),
});
