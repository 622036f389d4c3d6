/** What every table does with its rows: JSON columns, absent values, reading back through a schema. */
import { z } from "zod";
import { DomainError } from "../lib/errors.js";

/** A JSON column that holds a `T`. */
export function jsonColumn<T>(schema: z.ZodType<T>) {
  return z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue("not JSON");
        return z.NEVER;
      }
    })
    .pipe(schema);
}

export const damageHint = "the database was written by other software, or is damaged";

/** Parses a row; NULL columns become absent properties. A row that does not fit is a bug or damage. */
export function parseRow<T>(table: string, schema: z.ZodType<T>, row: unknown): T {
  // Reading back is most of a start: this is several times as fast as going through Object.entries.
  const present: Record<string, unknown> = {};
  const columns = row as Readonly<Record<string, unknown>>;
  for (const name in columns) if (columns[name] !== null) present[name] = columns[name];
  const parsed = schema.safeParse(present);
  if (parsed.success) return parsed.data;
  throw new DomainError("internal", `unreadable row in ${table}: ${z.prettifyError(parsed.error)}`, {
    hint: damageHint,
  });
}

/** SQLite binds no undefined. */
export function orNull<T>(value: T | undefined): T | null {
  return value ?? null;
}

/**
 * The same parser for rows with an `id`: one whose columns are what they were when it was last parsed is not parsed
 * again. Reading a row costs a fraction of parsing it.
 */
export function remembering<T>(parse: (row: unknown) => T, rowsMax = 1024): (row: unknown) => T {
  const known = new Map<unknown, { readonly row: Row; readonly parsed: T }>();
  return (given) => {
    const row = given as Row;
    const before = known.get(row["id"]);
    if (before !== undefined && isSame(before.row, row)) return before.parsed;
    const parsed = parse(row);
    known.delete(row["id"]);
    known.set(row["id"], { row, parsed });
    if (known.size > rowsMax) known.delete(known.keys().next().value);
    return parsed;
  };
}

type Row = Readonly<Record<string, unknown>>;

function isSame(one: Row, other: Row): boolean {
  for (const name in other) if (one[name] !== other[name]) return false;
  return true;
}
