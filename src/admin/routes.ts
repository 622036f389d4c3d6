/** Routes of the administration as data: registered by plugin.ts, described in docs/admin-api.md, compared by a test. */
import type { z } from "zod";
import { DomainError } from "../lib/errors.js";

export interface AdminRequest<Body> {
  /** A part of the path, decoded. */
  param(name: string): string;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: Body;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
}

export interface AdminRoute {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below /admin/v1, e.g. `/teams/:team`. */
  readonly path: string;
  /** Status of a success. */
  readonly status: 200 | 201 | 204;
  run(request: AdminRequest<unknown>): Promise<unknown>;
}

export interface RouteOptions<Body> {
  /** Unknown keys are refused. Absent: the request has no body. */
  readonly body?: z.ZodType<Body>;
  readonly status?: AdminRoute["status"];
}

/** `GET /teams` and what it does; what `work` returns is the answer, as JSON. */
export function route<Body = undefined>(
  line: `${AdminRoute["method"]} /${string}`,
  { body: schema, status = 200 }: RouteOptions<Body>,
  work: (request: AdminRequest<Body>) => Promise<unknown>,
): AdminRoute {
  const [method = "", path = ""] = line.split(" ");
  return {
    method: method as AdminRoute["method"],
    path,
    status,
    run: async (request) => await work({ ...request, body: parseBody(schema, request.body) as Body }),
  };
}

function parseBody(schema: z.ZodType | undefined, body: unknown): unknown {
  if (schema === undefined) return undefined;
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  const sentences = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join(".")}: ${message}`,
  );
  throw new DomainError("invalid_argument", sentences.join("; "), {
    hint: "docs/admin-api.md has the fields",
  });
}
