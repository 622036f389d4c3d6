/** The journal: what was intended and is not finished yet. */
import type { Database } from "better-sqlite3";
import { z } from "zod";
import { type Operation, type OperationKind, operationKinds } from "../sandbox/operation.js";
import { dateSchema } from "../sandbox/schema.js";
import { guarded } from "../sqlite/errors.js";
import { jsonColumn, orNull, parseRow } from "../sqlite/rows.js";

export interface OperationReader {
  /** Oldest first. */
  list(): Operation[];
  /** Whether one of this kind has the checkpoint. */
  holds(kind: OperationKind, checkpoint: string): boolean;
}

export interface Operations extends OperationReader {
  /** Before the first effect. */
  insert(operation: Operation): void;
  setStep(id: string, step: string): void;
  /** After the last effect; one that is gone already is no error. */
  delete(id: string): void;
}

const rowSchema: z.ZodType<Operation> = z.strictObject({
  id: z.string(),
  kind: z.enum(operationKinds),
  sandbox: z.string().exactOptional(),
  template: z.string().exactOptional(),
  checkpoint: z.string().exactOptional(),
  args: jsonColumn(z.record(z.string(), z.unknown())),
  step: z.string(),
  startedAt: dateSchema,
});

export function openOperations(db: Database): Operations {
  const all = db.prepare(`SELECT id, kind, sandbox, template, checkpoint, args, step, started_at AS startedAt
    FROM operations ORDER BY started_at, rowid`);
  const insert = db.prepare(`INSERT INTO operations
    (id, kind, sandbox, template, checkpoint, args, step, started_at)
    VALUES (@id, @kind, @sandbox, @template, @checkpoint, @args, @step, @startedAt)`);
  const holds = db
    .prepare("SELECT EXISTS (SELECT 1 FROM operations WHERE kind = ? AND checkpoint = ?)")
    .pluck();
  const setStep = db.prepare("UPDATE operations SET step = ? WHERE id = ?");
  const remove = db.prepare("DELETE FROM operations WHERE id = ?");

  return {
    list: () => all.all().map((row) => parseRow("operations", rowSchema, row)),
    holds: (kind, checkpoint) => holds.get(kind, checkpoint) === 1,
    insert(operation) {
      guarded(`operation ${operation.id}`, () => insert.run(bind(operation)));
    },
    setStep(id, step) {
      guarded(`operation ${id}`, () => setStep.run(step, id));
    },
    delete(id) {
      guarded(`operation ${id}`, () => remove.run(id));
    },
  };
}

function bind(operation: Operation) {
  return {
    ...operation,
    sandbox: orNull(operation.sandbox),
    template: orNull(operation.template),
    checkpoint: orNull(operation.checkpoint),
    args: JSON.stringify(operation.args),
    startedAt: operation.startedAt.toISOString(),
  };
}
