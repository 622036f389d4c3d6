/** Create, get and kill; and fork. */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { addRoute, type Call, type E2bDeps, sandboxIdOf } from "./call.js";
import { detailBody, sandboxBody } from "./convert.js";
import { errorReply } from "./errors.js";
import { type Generation, parseNewSandbox, parseTimeout } from "./new-sandbox.js";
import { parseBody } from "./parse.js";
import { requestKey } from "./request-key.js";

export function addSandboxRoutes(app: FastifyInstance, deps: E2bDeps): void {
  const { registry, settings } = deps;
  const create = (generation: Generation) => async (call: Call) => {
    const options = parseNewSandbox(call.request, generation, settings);
    return sandboxBody(await registry.sandboxes.create(call.team, options, call.signal), settings);
  };
  const url = "/sandboxes/:sandboxID";
  addRoute(app, deps, { method: "POST", url: "/sandboxes", status: 201, handle: create("v1") });
  addRoute(app, deps, { method: "POST", url: "/v2/sandboxes", status: 201, handle: create("v2") });
  addRoute(app, deps, {
    method: "GET",
    url,
    status: 200,
    handle: async (call) => detailBody(await registry.sandboxes.get(call.team, sandboxIdOf(call)), settings),
  });
  addRoute(app, deps, {
    method: "DELETE",
    url,
    status: 204,
    handle: (call) => registry.sandboxes.kill(call.team, sandboxIdOf(call)),
  });
  addRoute(app, deps, {
    method: "POST",
    url: `${url}/fork`,
    status: 201,
    handle: (call) => fork(deps, call),
  });
}

const forkSchema = z.object({ timeout: z.int().default(15), count: z.int().default(1) });

async function fork({ registry, settings }: E2bDeps, call: Call) {
  const id = sandboxIdOf(call);
  const { timeout, count } = parseBody(forkSchema, call.request);
  const key = requestKey(call.request, `fork ${id}`);
  const options = {
    count,
    timeoutMs: parseTimeout(timeout, settings),
    ...(key === undefined ? {} : { request: key }),
  };
  const results = await registry.sandboxes.fork(call.team, id, options, call.signal);
  return results.map((result) =>
    result.ok ? { sandbox: sandboxBody(result.sandbox, settings) } : { error: errorReply(result.error).body },
  );
}
