/** Requests through their schemas. Unknown fields are ignored, as E2B does. */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { DomainError } from "../lib/errors.js";

/** Throws `invalid_argument` that names the first field that does not fit. No body is an empty one. */
export function parseBody<S extends z.ZodType>(schema: S, { body }: FastifyRequest): z.output<S> {
  return parse(schema, body ?? {}, "the body");
}

export function parseQuery<S extends z.ZodType>(schema: S, { query }: FastifyRequest): z.output<S> {
  return parse(schema, query, "the query");
}

function parse<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path.map(String).join(".") || what;
  throw refused(`${path}: ${issue?.message ?? "does not fit"}`);
}

export function refused(message: string, hint?: string): DomainError {
  return new DomainError("invalid_argument", message, hint === undefined ? {} : { hint });
}

/** A whole number in a query. */
export const queryInt = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, "must be a whole number")
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be from ${min} to ${max}`);

/** Words with commas in between. */
export const queryList = z.string().transform((text) => text.split(",").filter((word) => word !== ""));

const textMax = 1024;
const entriesMax = 256;

/** Bounded: it is kept and searched. */
export const metadataSchema = z
  .record(z.string(), z.string().max(textMax, `has more than ${textMax} characters`))
  .refine(
    (metadata) => Object.keys(metadata).every((key) => key.length > 0 && key.length <= textMax),
    `keys must have 1 to ${textMax} characters`,
  )
  .refine((metadata) => Object.keys(metadata).length <= entriesMax, `has more than ${entriesMax} entries`);

export const envSchema = z
  .record(z.string(), z.string())
  .refine((env) => Object.keys(env).every((key) => key !== ""), "names must not be empty");
