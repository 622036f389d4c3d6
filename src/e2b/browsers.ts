/**
 * Programs in browsers use the API too. Any origin may: keys are in a header that no browser sends by itself. Where there
 * are none, pages of other machines do not come so far.
 */
import type { FastifyInstance } from "fastify";

const exposed = "X-Next-Token, X-Total-Running, X-E2B-Trace-ID, Retry-After";
const methods = "GET, POST, PUT, PATCH, DELETE, OPTIONS";

export function allowBrowsers(app: FastifyInstance): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.headers({
      "Access-Control-Allow-Origin": "*",
      "Access-Control-Expose-Headers": exposed,
      "X-E2B-Trace-ID": request.id,
    });
    if (request.method !== "OPTIONS") return;
    const asked = request.headers["access-control-request-headers"] ?? "*";
    await reply
      .code(204)
      .headers({
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": asked,
        "Access-Control-Max-Age": "86400",
      })
      .send();
  });
}
