/** E2B's REST control plane as a fastify plugin; whoever registers it listens. */
import type { FastifyInstance, FastifyPluginAsync, HTTPMethods } from "fastify";
import { allowBrowsers } from "./browsers.js";
import type { E2bDeps } from "./call.js";
import { errorReply } from "./errors.js";
import { addLifecycleRoutes } from "./lifecycle.js";
import { addListRoutes } from "./lists.js";
import { addRoutesNotServed } from "./not-served.js";
import { addObserveRoutes } from "./observe.js";
import { addSandboxRoutes } from "./sandboxes.js";
import { addSnapshotRoutes } from "./snapshots.js";
import { addTagRoutes } from "./tags.js";
import { addTeamRoutes } from "./teams.js";
import { addTemplateRoutes } from "./templates.js";

const groups = [
  addSandboxRoutes,
  addListRoutes,
  addLifecycleRoutes,
  addSnapshotRoutes,
  addTemplateRoutes,
  addTagRoutes,
  addObserveRoutes,
  addTeamRoutes,
  addRoutesNotServed,
];

export function e2bPlugin(deps: E2bDeps): FastifyPluginAsync {
  return async (app) => {
    parseBodies(app);
    answerErrors(app);
    allowBrowsers(app);
    const served = followRoutes(app);
    // For load balancers, which have no key.
    app.get("/health", async (_request, reply) => reply.code(204).send());
    for (const addRoutes of groups) addRoutes(app, deps);
    refuseOtherMethods(app, served);
  };
}

/** Bodies are JSON. Clients name its type also where they send none. */
function parseBodies(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser("remove", "remove");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<string>("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body.trim() === "") done(null, undefined);
    else void parseJson(request, body, done);
  });
}

function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler((thrown, request, reply) => {
    const { body, retryAfter } = errorReply(thrown);
    if (body.code >= 500) request.log.warn({ err: thrown, url: request.url }, "a request failed");
    if (retryAfter !== undefined) reply.header("Retry-After", String(retryAfter));
    return reply.code(body.code).send(body);
  });
  app.setNotFoundHandler((request, reply) => {
    const [path = ""] = request.url.slice(0, 200).split("?");
    return reply.code(404).send({ code: 404, message: `there is no ${request.method} ${path}` });
  });
}

type Served = ReadonlyMap<string, ReadonlySet<string>>;

function followRoutes(app: FastifyInstance): Served {
  const served = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }) => {
    const methods = served.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    served.set(url, methods);
  });
  return served;
}

const methods: readonly HTTPMethods[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

function refuseOtherMethods(app: FastifyInstance, served: Served): void {
  for (const [url, known] of [...served]) {
    const others = methods.filter((method) => !known.has(method));
    const allow = [...known].filter((method) => method !== "HEAD").join(", ");
    app.route({
      method: [...others],
      url,
      handler: async ({ method }, reply) =>
        reply
          .code(405)
          .header("Allow", allow)
          .send({ code: 405, message: `no ${method} here, but ${allow}` }),
    });
  }
}
