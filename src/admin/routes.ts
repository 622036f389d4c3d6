/** Routes of the administration as data: registered by plugin.ts, described in docs/admin-api.md, compared by a test. */
import { z } from "zod";
import { DomainError } from "../lib/errors.js";

export interface AdminRequest<Body, Query = unknown> {
  /** A part of the path, decoded. */
  param(name: string): string;
  readonly query: Query;
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

export interface RouteOptions<Body, Query> {
  /** Unknown keys are refused. Absent: the request has no body. */
  readonly body?: z.ZodType<Body>;
  /** Unknown parameters are refused. Absent: it takes none. */
  readonly query?: z.ZodType<Query>;
  readonly status?: AdminRoute["status"];
}

/** `GET /teams` and what it does; what `work` returns is the answer, as JSON. */
export function route<Body = undefined, Query = unknown>(
  line: `${AdminRoute["method"]} /${string}`,
  { body: bodySchema, query: querySchema, status = 200 }: RouteOptions<Body, Query>,
  work: (request: AdminRequest<Body, Query>) => Promise<unknown>,
): AdminRoute {
  const [method = "", path = ""] = line.split(" ");
  return {
    method: method as AdminRoute["method"],
    path,
    status,
    run: async (request) => {
      const query = parse(querySchema ?? noQuery, request.query) as Query;
      const body = bodySchema === undefined ? undefined : parse(bodySchema, request.body ?? {});
      return await work({ ...request, query, body: body as Body });
    },
  };
}

const noQuery = z.strictObject({});

function parse(schema: z.ZodType, given: unknown): unknown {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const sentences = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join(".")}: ${message}`,
  );
  throw new DomainError("invalid_argument", sentences.join("; "), {
    hint: "docs/admin-api.md has the fields",
  });
}
