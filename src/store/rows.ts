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

/** Parses a row; NULL columns become absent properties. A row that does not fit is a bug or damage. */
export function parseRow<T>(table: string, schema: z.ZodType<T>, row: unknown): T {
  const present = Object.fromEntries(Object.entries(row as object).filter(([, value]) => value !== null));
  const parsed = schema.safeParse(present);
  if (parsed.success) return parsed.data;
  throw new DomainError("internal", `unreadable row in ${table}: ${z.prettifyError(parsed.error)}`, {
    hint: "the database was written by other software, or is damaged",
  });
}

/** SQLite binds no undefined. */
export function orNull<T>(value: T | undefined): T | null {
  return value ?? null;
}
