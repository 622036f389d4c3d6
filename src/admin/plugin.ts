/** The administration's routes as a fastify plugin: who may, JSON in and out, errors as `{code, message, hint}`. */
import type { FastifyError, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { DomainError, toDomainError } from "../lib/errors.js";
import { httpStatusOf } from "../lib/http-status.js";
import type { Logger } from "../lib/log.js";
import type { AdminRoute } from "./routes.js";

export interface AdminOptions {
  readonly routes: readonly AdminRoute[];
  /** Absent in development mode: whoever reaches it may; it then listens on loopback alone. */
  readonly isAdmin?: (authorization: string | undefined) => boolean;
  readonly log: Pick<Logger, "error">;
}

/** To be registered with the prefix `/admin/v1`. */
export function adminPlugin({ routes, isAdmin, log }: AdminOptions): FastifyPluginAsync {
  return async (app) => {
    app.addHook("onRequest", async ({ headers }) => {
      if (isAdmin === undefined || isAdmin(headers.authorization)) return;
      const given =
        headers.authorization === undefined ? "this needs the admin key" : "the admin key is not this one";
      throw new DomainError("unauthenticated", given, {
        hint: "it is in admin.key of the registry's data directory: RAMET_ADMIN_KEY, or --admin-key-file",
      });
    });
    app.setErrorHandler((thrown: FastifyError | DomainError, _request, reply) => {
      const { status, error } = translate(thrown);
      if (error.code === "internal") log.error({ err: thrown }, "an administration request failed");
      return answer(reply, status, error);
    });
    app.setNotFoundHandler(({ method, url }, reply) => {
      const error = new DomainError("not_found", `there is no ${method} ${url.split("?")[0]}`, {
        hint: "docs/admin-api.md lists the routes",
      });
      return answer(reply, 404, error);
    });
    for (const it of routes)
      app.route({
        method: it.method,
        url: it.path,
        handler: async (request, reply) => {
          const result = await it.run(toAdminRequest(request, reply));
          return reply.status(it.status).send(it.status === 204 ? undefined : result);
        },
      });
  };
}

function toAdminRequest(request: FastifyRequest, reply: FastifyReply) {
  const params = request.params as Readonly<Record<string, string>>;
  const gone = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) gone.abort(new DomainError("cancelled", "the client went away"));
  });
  return {
    param: (name: string) => params[name] ?? "",
    query: request.query,
    body: request.body,
    signal: gone.signal,
  };
}

/** fastify's own refusals (no JSON, too large, another type) keep their status. */
function translate(thrown: FastifyError | DomainError): { status: number; error: DomainError } {
  if (!(thrown instanceof DomainError) && thrown.statusCode !== undefined && thrown.statusCode < 500)
    return {
      status: thrown.statusCode,
      error: new DomainError("invalid_argument", thrown.message, { cause: thrown }),
    };
  const error = toDomainError(thrown, "the request failed");
  return { status: httpStatusOf[error.code], error };
}

function answer(reply: FastifyReply, status: number, { code, message, hint }: DomainError): FastifyReply {
  if (status === 503) void reply.header("retry-after", "1");
  return reply.status(status).send({ code, message, ...(hint === undefined ? {} : { hint }) });
}
