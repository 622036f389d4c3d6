import type { Database } from "better-sqlite3";
import { z } from "zod";
import type { CatalogueSnapshot } from "../../fleet/catalogue.js";
import { guarded } from "../../sqlite/errors.js";
import { orNull, parseRow } from "../../sqlite/rows.js";
import type { Catalogue } from "../registry-store.js";
import { checkLimit, inserting, nodeColumn, teamColumn, timeColumn, timeMax } from "./columns.js";

const rowSchema: z.ZodType<CatalogueSnapshot> = z.strictObject({
  kind: z.literal("snapshot"),
  id: z.string(),
  team: teamColumn,
  node: nodeColumn,
  checkpoint: z.string(),
  sandbox: z.string(),
  name: z.string().exactOptional(),
  createdAt: timeColumn,
  cpus: z.number(),
  memoryBytes: z.int(),
  diskBytes: z.int(),
});
const parse = (row: unknown) => parseRow("snapshots", rowSchema, row);
const one = (row: unknown) => (row === undefined ? undefined : parse(row));

/** Works within a transaction, or reads. */
export function openSnapshots(db: Database) {
  const select = (rest: string) =>
    db.prepare<unknown[]>(`SELECT 'snapshot' AS kind, id, team, node, checkpoint, sandbox, name,
      created_at AS createdAt, cpus, memory_bytes AS memoryBytes, disk_bytes AS diskBytes FROM snapshots ${rest}`);
  const byId = select("WHERE id = ?");
  const byName = select("WHERE team = ? AND name = ?");
  const newest = select(`WHERE team = @team AND (@sandbox IS NULL OR sandbox = @sandbox)
    AND (@name IS NULL OR name = @name) AND created_at <= @created AND (created_at < @created OR id > @id)
    ORDER BY created_at DESC, id LIMIT @limit`);
  const byNode = select("WHERE node = ?");
  const insert =
    db.prepare(`INSERT INTO snapshots (id, team, node, checkpoint, sandbox, name, created_at, cpus,
    memory_bytes, disk_bytes) VALUES (@id, @team, @node, @checkpoint, @sandbox, @name, @createdAt, @cpus,
    @memoryBytes, @diskBytes)`);
  const unname = db.prepare("UPDATE snapshots SET name = NULL WHERE team = ? AND name = ?");
  const remove = db.prepare("DELETE FROM snapshots WHERE id = ?");

  return {
    find: (id: string) => one(byId.get(id)),
    findByName: (team: string, name: string) => one(byName.get(team, name)),
    ofNode: (node: string) => byNode.all(node).map(parse),
    list({ team, sandbox, name, after, limit }: Parameters<Catalogue["snapshots"]>[0]) {
      const from = { created: after?.createdAt.getTime() ?? timeMax, id: after?.id ?? "" };
      const filter = { team, sandbox: orNull(sandbox), name: orNull(name) };
      return newest.all({ ...filter, ...from, limit: checkLimit(limit) }).map(parse);
    },
    insert(snapshot: CatalogueSnapshot): void {
      const row = { ...snapshot, name: orNull(snapshot.name), createdAt: snapshot.createdAt.getTime() };
      inserting(`snapshot ${snapshot.name ?? snapshot.id}`, "team or node", () => insert.run(row));
    },
    takeName(team: string, name: string): void {
      guarded(`snapshot ${name}`, () => unname.run(team, name));
    },
    remove: (id: string) => guarded(`snapshot ${id}`, () => remove.run(id)),
  };
}
