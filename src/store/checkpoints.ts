/** Records of checkpoints, and what stands on them. */
import type { Database } from "better-sqlite3";
import { z } from "zod";
import { type Checkpoint, checkpointKinds, type Dependent } from "../checkpoint/checkpoint.js";
import { DomainError } from "../lib/errors.js";
import { dateSchema, idSchema, sandboxSpecSchema } from "../sandbox/schema.js";
import { guarded } from "../sqlite/errors.js";
import { jsonColumn, orNull, parseRow } from "../sqlite/rows.js";
import { findByRef } from "./lookup.js";

export interface CheckpointFilter {
  /** Taken from this sandbox. */
  readonly sandbox?: string;
  /** Absent: of every kind. */
  readonly kinds?: readonly Checkpoint["kind"][];
}

export interface CheckpointReader {
  /** Throws `not_found`. */
  get(id: string): Checkpoint;
  peek(id: string): Checkpoint | undefined;
  /** By id, name, or unique beginning of an id. Throws `not_found` or `invalid_argument`. */
  find(ref: string): Checkpoint;
  /** It cannot be given to another one then. */
  isNameTaken(name: string): boolean;
  /** Newest first. */
  list(filter?: CheckpointFilter): Checkpoint[];
  /** Sandboxes, templates and checkpoints that could not be used any more without it. */
  dependents(id: string): Dependent[];
  /** Whether there is one: a golden checkpoint can have a thousand, and each that goes asks. */
  hasDependents(id: string): boolean;
}

export interface Checkpoints extends CheckpointReader {
  /** Throws `already_exists` when the id or the name is taken. */
  insert(checkpoint: Checkpoint): void;
  update(id: string, change: (checkpoint: Checkpoint) => Checkpoint): Checkpoint;
  /** Its children become its parent's. Throws `failed_precondition` while it is the base of another. */
  delete(id: string): void;
}

const rowSchema: z.ZodType<Checkpoint> = z.strictObject({
  id: idSchema,
  name: z.string().exactOptional(),
  kind: z.enum(checkpointKinds),
  sandbox: idSchema,
  parent: idSchema.exactOptional(),
  base: idSchema.exactOptional(),
  spec: jsonColumn(sandboxSpecSchema),
  generation: z.int(),
  snapshotKey: z.string(),
  memoryBytes: z.int(),
  inheritedBytes: z.int(),
  layerBytes: z.int(),
  freezeMs: z.number(),
  createdAt: dateSchema,
});
const parse = (row: unknown) => parseRow("checkpoints", rowSchema, row);

const dependentSchema: z.ZodType<Dependent> = z.strictObject({
  kind: z.enum(["sandbox", "template", "checkpoint"]),
  id: z.string(),
  name: z.string().exactOptional(),
  status: z.string().exactOptional(),
});

const columns = `id, name, kind, sandbox, parent, base, spec, generation, snapshot_key AS snapshotKey,
  memory_bytes AS memoryBytes, inherited_bytes AS inheritedBytes, layer_bytes AS layerBytes, freeze_ms AS freezeMs, created_at AS createdAt`;

// A failed sandbox holds nothing; a stopped one keeps its layer, which stands on the checkpoint's.
const dependentsQuery = `
  SELECT 'sandbox' AS kind, id, name, status FROM sandboxes
    WHERE (state_checkpoint = @id OR origin_checkpoint = @id) AND status <> 'failed'
  UNION ALL SELECT 'template', name, NULL, NULL FROM templates WHERE checkpoint = @id
  UNION ALL SELECT 'checkpoint', id, name, NULL FROM checkpoints WHERE base = @id
`;

export function openCheckpoints(db: Database): Checkpoints {
  const select = (where: string) => db.prepare<unknown[]>(`SELECT ${columns} FROM checkpoints ${where}`);
  const byId = select("WHERE id = ?");
  const byName = select("WHERE name = ?");
  // No id character sorts after "~", so this is every id that begins with the prefix.
  const byPrefix = select("WHERE id >= @prefix AND id < @prefix || '~' LIMIT 2");
  const all = select(`WHERE (@sandbox IS NULL OR sandbox = @sandbox)
    AND (@kinds IS NULL OR kind IN (SELECT value FROM json_each(@kinds))) ORDER BY created_at DESC, rowid DESC`);
  const dependents = db.prepare(`${dependentsQuery} ORDER BY 1, 2`);
  const hasDependents = db.prepare(`SELECT EXISTS (${dependentsQuery})`).pluck();
  const insert = db.prepare(`INSERT INTO checkpoints (id, name, kind, sandbox, parent, base, spec, generation,
    snapshot_key, memory_bytes, inherited_bytes, layer_bytes, freeze_ms, created_at) VALUES (@id, @name, @kind, @sandbox,
    @parent, @base, @spec, @generation, @snapshotKey, @memoryBytes, @inheritedBytes, @layerBytes, @freezeMs, @createdAt)`);
  const update = db.prepare(`UPDATE checkpoints SET name = @name, kind = @kind, sandbox = @sandbox,
    parent = @parent, base = @base, spec = @spec, generation = @generation, snapshot_key = @snapshotKey,
    memory_bytes = @memoryBytes, inherited_bytes = @inheritedBytes, layer_bytes = @layerBytes, freeze_ms = @freezeMs, created_at = @createdAt
    WHERE id = @id`);
  const adopt = db.prepare(
    "UPDATE checkpoints SET parent = (SELECT parent FROM checkpoints WHERE id = @id) WHERE parent = @id",
  );
  const leaveToSandboxes = db.prepare(
    "UPDATE sandboxes SET parent = (SELECT parent FROM checkpoints WHERE id = @id) WHERE parent = @id",
  );
  const remove = db.prepare("DELETE FROM checkpoints WHERE id = @id");
  const removeFromLineage = db.transaction((id: string) => {
    adopt.run({ id });
    leaveToSandboxes.run({ id });
    remove.run({ id });
  });

  const one = (row: unknown) => (row === undefined ? undefined : parse(row));
  const peek = (id: string) => one(byId.get(id));
  const get = (id: string) => {
    const found = peek(id);
    if (found !== undefined) return found;
    throw new DomainError("not_found", `no checkpoint ${id}`, { hint: "see `ramet checkpoint ls`" });
  };
  const change = db.transaction((id: string, apply: (checkpoint: Checkpoint) => Checkpoint) => {
    const changed = apply(get(id));
    guarded(`checkpoint ${id}`, () => update.run({ ...bind(changed), id }));
    return changed;
  });

  return {
    get,
    peek,
    find: (ref) =>
      findByRef("checkpoint", "see `ramet checkpoint ls`", ref, {
        byId: peek,
        byName: (name) => one(byName.get(name)),
        byPrefix: (prefix) => byPrefix.all({ prefix }).map(parse),
      }),
    isNameTaken: (name) => byName.get(name) !== undefined,
    list: ({ sandbox = null, kinds } = {}) =>
      all.all({ sandbox, kinds: kinds === undefined ? null : JSON.stringify(kinds) }).map(parse),
    dependents: (id) => dependents.all({ id }).map((row) => parseRow("checkpoints", dependentSchema, row)),
    hasDependents: (id) => hasDependents.get({ id }) === 1,
    insert(checkpoint) {
      guarded(`checkpoint ${checkpoint.name ?? checkpoint.id}`, () => insert.run(bind(checkpoint)));
    },
    update: (id, apply) => change(id, apply),
    delete(id) {
      guarded(`checkpoint ${id}`, () => removeFromLineage(id));
    },
  };
}

function bind(checkpoint: Checkpoint) {
  return {
    ...checkpoint,
    name: orNull(checkpoint.name),
    parent: orNull(checkpoint.parent),
    base: orNull(checkpoint.base),
    spec: JSON.stringify(checkpoint.spec),
    createdAt: checkpoint.createdAt.toISOString(),
  };
}
