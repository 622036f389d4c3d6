/** The header `Idempotency-Key`: the same request again gets the same answer. */
import { createHash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { RequestKey } from "../registry/registry.js";

/** `what` tells requests to different routes apart. Undefined without the header. */
export function requestKey({ headers, body }: FastifyRequest, what: string): RequestKey | undefined {
  const key = headers["idempotency-key"];
  if (typeof key !== "string") return undefined;
  const asked = `${what} ${JSON.stringify(sorted(body ?? {}))}`;
  return { key, hash: createHash("sha256").update(asked).digest("hex") };
}

/** The same whatever the order of its fields. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
