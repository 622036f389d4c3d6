/** Records of sandboxes. */
import type { Database } from "better-sqlite3";
import { z } from "zod";
import { DomainError } from "../lib/errors.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import {
  dateSchema,
  labelsSchema,
  originSchema,
  sandboxIdSchema,
  sandboxSpecSchema,
  sandboxStateSchema,
} from "../sandbox/schema.js";
import type { SandboxStatus } from "../sandbox/state.js";
import { guarded } from "../sqlite/errors.js";
import { jsonColumn, orNull, parseRow, remembering } from "../sqlite/rows.js";
import { findByRef } from "./lookup.js";

export interface SandboxFilter {
  /** Empty or absent: all. */
  readonly statuses?: readonly SandboxStatus[];
  /** All pairs must match. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Warm slots are left out unless asked for. */
  readonly slots?: "only" | "too";
}

export interface SandboxReader {
  /** Throws `not_found`. */
  get(id: SandboxId): Sandbox;
  /** Undefined when there is none. */
  peek(id: string): Sandbox | undefined;
  /** By id, name, or unique beginning of an id; no warm slots. Throws `not_found` or `invalid_argument`. */
  find(ref: string): Sandbox;
  isNameTaken(name: string): boolean;
  /** Newest first. */
  list(filter?: SandboxFilter): Sandbox[];
  /** How many are in one of these states; no warm slots. Reads no record, as `list` does. */
  count(statuses: readonly SandboxStatus[]): number;
}

export interface Sandboxes extends SandboxReader {
  /** Throws `already_exists` when the id or the name is taken. */
  insert(sandbox: Sandbox): void;
  /** Replaces the record by what `change` makes of it, in one transaction; gives the new one. */
  update(id: SandboxId, change: (sandbox: Sandbox) => Sandbox): Sandbox;
  /** Deleting what is gone already is no error. */
  delete(id: SandboxId): void;
}

const rowSchema: z.ZodType<Sandbox> = z.strictObject({
  id: sandboxIdSchema,
  name: z.string().exactOptional(),
  spec: jsonColumn(sandboxSpecSchema),
  origin: jsonColumn(originSchema),
  labels: jsonColumn(labelsSchema),
  generation: z.int(),
  snapshotKey: z.string(),
  parent: z.string().exactOptional(),
  createdAt: dateSchema,
  isSlot: z.int().transform(Boolean),
  state: jsonColumn(sandboxStateSchema),
});
const parse = (row: unknown) => parseRow("sandboxes", rowSchema, row);

const columns = `id, name, spec, origin, labels, generation, snapshot_key AS snapshotKey, parent,
  created_at AS createdAt, is_slot AS isSlot, state`;

export function openSandboxes(db: Database): Sandboxes {
  const select = (where: string) => db.prepare<unknown[]>(`SELECT ${columns} FROM sandboxes ${where}`);
  const byId = select("WHERE id = ?");
  const byName = select("WHERE name = ?");
  // No id character sorts after "~", so this is every id that begins with the prefix.
  const byPrefix = select("WHERE id >= @prefix AND id < @prefix || '~' AND NOT is_slot LIMIT 2");
  // Most of what a listing takes is for parsing, so rows that nobody wants are left to SQLite.
  const inStatuses = "status IN (SELECT value FROM json_each(@statuses))";
  const all = select(`WHERE (@slots IS NULL OR is_slot = @slots) AND (@statuses = '[]' OR ${inStatuses})
    ORDER BY created_at DESC, rowid DESC`);
  const count = db.prepare(`SELECT count(*) FROM sandboxes WHERE NOT is_slot AND ${inStatuses}`).pluck();
  const insert = db.prepare(`INSERT INTO sandboxes
    (id, name, spec, origin, labels, generation, snapshot_key, parent, created_at, is_slot, state)
    VALUES (@id, @name, @spec, @origin, @labels, @generation, @snapshotKey, @parent, @createdAt,
      @isSlot, @state)`);
  const update = db.prepare(`UPDATE sandboxes SET name = @name, spec = @spec, origin = @origin,
    labels = @labels, generation = @generation, snapshot_key = @snapshotKey, parent = @parent,
    created_at = @createdAt, is_slot = @isSlot, state = @state WHERE id = @id`);
  const remove = db.prepare("DELETE FROM sandboxes WHERE id = ?");

  const parseAgain = remembering(parse);
  const one = (row: unknown) => (row === undefined ? undefined : parseAgain(row));
  const peek = (id: string) => one(byId.get(id));
  const get = (id: SandboxId) => {
    const found = peek(id);
    if (found === undefined)
      throw new DomainError("not_found", `no sandbox ${id}`, { hint: "see `ramet ps -a`" });
    return found;
  };
  const change = db.transaction((id: SandboxId, apply: (sandbox: Sandbox) => Sandbox) => {
    const changed = apply(get(id));
    guarded(`sandbox ${id}`, () => update.run({ ...bind(changed), id }));
    return changed;
  });

  return {
    get,
    peek,
    find: (ref) =>
      findByRef("sandbox", "see `ramet ps -a`", ref, {
        byId: (id) => {
          const found = peek(id);
          return found?.isSlot ? undefined : found;
        },
        byName: (name) => one(byName.get(name)),
        byPrefix: (prefix) => byPrefix.all({ prefix }).map(parse),
      }),
    isNameTaken: (name) => byName.get(name) !== undefined,
    list({ statuses = [], labels = {}, slots } = {}) {
      const isSlot = slots === "too" ? null : Number(slots === "only");
      const rows = all.all({ slots: isSlot, statuses: JSON.stringify(statuses) });
      return rows.map(parse).filter(hasLabels(labels));
    },
    count: (statuses) => Number(count.get({ statuses: JSON.stringify(statuses) })),
    insert(sandbox) {
      guarded(`sandbox ${sandbox.name ?? sandbox.id}`, () => insert.run(bind(sandbox)));
    },
    update: (id, apply) => change(id, apply),
    delete(id) {
      guarded(`sandbox ${id}`, () => remove.run(id));
    },
  };
}

function hasLabels(labels: Readonly<Record<string, string>>): (sandbox: Sandbox) => boolean {
  const pairs = Object.entries(labels);
  return (sandbox) => pairs.every(([key, value]) => sandbox.labels[key] === value);
}

function bind(sandbox: Sandbox) {
  return {
    id: sandbox.id,
    name: orNull(sandbox.name),
    spec: JSON.stringify(sandbox.spec),
    origin: JSON.stringify(sandbox.origin),
    labels: JSON.stringify(sandbox.labels),
    generation: sandbox.generation,
    snapshotKey: sandbox.snapshotKey,
    parent: orNull(sandbox.parent),
    createdAt: sandbox.createdAt.toISOString(),
    isSlot: Number(sandbox.isSlot),
    state: JSON.stringify(sandbox.state),
  };
}
