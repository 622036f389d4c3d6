import { setImmediate as nextTurn } from "node:timers/promises";
import type { Database } from "better-sqlite3";
import { z } from "zod";
import type { OwnedSandbox } from "../../fleet/sandbox.js";
import { quote } from "../../lib/ids.js";
import { guarded } from "../../sqlite/errors.js";
import type { GroupCommit } from "../../sqlite/group-commit.js";
import { orNull, parseRow, remembering } from "../../sqlite/rows.js";
import type { OwnedSandboxes, SandboxQuery } from "../registry-store.js";
import { checkLimit, inserting, present, timeColumn, timeMax, timeMin } from "./columns.js";
import type { InsertRequest } from "./requests.js";
import {
  bindSandbox,
  columns,
  insertSql,
  metadataColumn,
  outlineColumns,
  parseOutline,
  parseSandbox,
  updateSql,
} from "./sandbox-rows.js";

/** Rows that are read before others have their turn. */
const rowsAtOnce = 1000;

export function openSandboxes(
  db: Database,
  { soon }: GroupCommit,
  insertRequest: InsertRequest,
): OwnedSandboxes {
  const byId = db.prepare(`SELECT ${columns} FROM sandboxes WHERE id = ?`);
  const byNode = db.prepare(`SELECT ${columns} FROM sandboxes WHERE node = ?`);
  // In the order in which they lie in the file: by id, each row would be another page of it.
  const next = db
    .prepare(`SELECT ${outlineColumns} FROM sandboxes WHERE rowid > ? AND rowid <= ? ORDER BY rowid`)
    .raw();
  const endOfNext = db
    .prepare(
      `SELECT max(rowid) FROM (SELECT rowid FROM sandboxes WHERE rowid > ? ORDER BY rowid LIMIT ${rowsAtOnce})`,
    )
    .pluck();
  const parse = remembering(parseSandbox);
  const one = (row: unknown) => (row === undefined ? undefined : parse(row));
  const insert = db.prepare(insertSql);
  const update = db.prepare(updateSql);
  const remove = db.prepare("DELETE FROM sandboxes WHERE id = ?");
  const get = (id: string) => present(`sandbox ${quote(id)}`, one(byId.get(id)));

  return {
    insert: (sandboxes, request) =>
      soon(() => {
        for (const sandbox of sandboxes)
          inserting(`sandbox ${sandbox.id}`, "team or node", () => insert.run(bindSandbox(sandbox)));
        if (request !== undefined) insertRequest(request);
      }),
    get: async (id) => guarded("sandboxes", () => get(id)),
    find: async (id) => guarded("sandboxes", () => one(byId.get(id))),
    update: (id, change) =>
      soon(() => {
        const changed = { ...change(get(id)), id };
        inserting(`sandbox ${id}`, "team or node", () => update.run(bindSandbox(changed)));
        return changed;
      }),
    delete: (id) => soon(() => guarded(`sandbox ${id}`, () => void remove.run(id))),
    list: openList(db),
    ofNode: async (node) => guarded("sandboxes", () => byNode.all(node).map(parseSandbox)),
    async *outlines() {
      for (let last = 0; ; await nextTurn()) {
        const end = guarded("sandboxes", () => endOfNext.get(last)) as number | null;
        if (end === null) return;
        yield guarded("sandboxes", () => next.all(last, end)).map(parseOutline);
        last = end;
      }
    },
  };
}

const statusesOf = {
  running: ["running", "pausing", "resuming"],
  paused: ["paused"],
  lost: ["lost"],
} as const satisfies Record<SandboxQuery["states"][number], readonly OwnedSandbox["state"]["status"][]>;

const outlineSchema = z.strictObject({ id: z.string(), startedAt: timeColumn, metadata: metadataColumn });

const matches = `team = @team AND (@template IS NULL OR template = @template)
  AND status IN (SELECT value FROM json_each(@statuses))`;

/** One index serves both orders; equal starts are put in order of their ids, a few at a time. */
function preparePage(db: Database, what: string) {
  return {
    newest: db.prepare(`SELECT ${what} FROM sandboxes WHERE ${matches} AND started_at >= @since
      AND started_at <= @start AND (started_at < @start OR id > @id) ORDER BY started_at DESC, id LIMIT @limit`),
    oldest: db.prepare(`SELECT ${what} FROM sandboxes WHERE ${matches} AND started_at >= max(@since, @start)
      AND (started_at > @start OR id > @id) ORDER BY started_at, id LIMIT @limit`),
  };
}

function bindQuery({ team, states, template, startedAfter, order, after }: SandboxQuery) {
  const asked = states.length === 0 ? (["running", "paused", "lost"] as const) : states;
  return {
    team,
    template: orNull(template),
    statuses: JSON.stringify(asked.flatMap((state) => statusesOf[state])),
    since: startedAfter?.getTime() ?? timeMin,
    start: after?.startedAt.getTime() ?? (order === "newest" ? timeMax : timeMin),
    id: after?.id ?? "",
  };
}

function openList(db: Database): OwnedSandboxes["list"] {
  const whole = preparePage(db, columns);
  const outlines = preparePage(db, "id, started_at AS startedAt, metadata");
  const byId = db.prepare(`SELECT ${columns} FROM sandboxes WHERE id = ?`);
  const outlinesAfter = (query: SandboxQuery) =>
    outlines[query.order]
      .all({ ...bindQuery(query), limit: rowsAtOnce })
      .map((row) => parseRow("sandboxes", outlineSchema, row));

  /** Metadata is compared here, exactly, and some rows at a time: others have their turn in between. */
  async function listByMetadata(query: SandboxQuery): Promise<readonly OwnedSandbox[]> {
    const wanted = Object.entries(query.metadata);
    const found: OwnedSandbox[] = [];
    for (let from = query; ; await nextTurn()) {
      const { rows, last, isLast } = guarded("sandboxes", () => {
        const some = outlinesAfter(from);
        const fits = some.filter(({ metadata }) => hasAll(metadata, wanted));
        const rows = fits.slice(0, query.limit - found.length).map(({ id }) => parseSandbox(byId.get(id)));
        return { rows, last: some.at(-1), isLast: some.length < rowsAtOnce };
      });
      found.push(...rows);
      if (last === undefined || isLast || found.length === query.limit) return found;
      from = { ...query, after: last };
    }
  }

  return async (query) => {
    const limit = checkLimit(query.limit);
    if (Object.keys(query.metadata).length > 0) return await listByMetadata(query);
    return guarded("sandboxes", () =>
      whole[query.order].all({ ...bindQuery(query), limit }).map(parseSandbox),
    );
  };
}

function hasAll(metadata: OwnedSandbox["metadata"], wanted: readonly (readonly [string, string])[]): boolean {
  return wanted.every(([key, value]) => Object.hasOwn(metadata, key) && metadata[key] === value);
}
