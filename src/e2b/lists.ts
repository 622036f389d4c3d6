/** Both lists of sandboxes. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import type { ListQuery } from "../registry/registry.js";
import { addRoute, type Call, type E2bDeps } from "./call.js";
import { listedBody } from "./convert.js";
import { parseMetadataQuery } from "./metadata-query.js";
import { fromToken, toToken } from "./paging.js";
import { parseQuery, queryInt, queryList, refused } from "./parse.js";

const pageMax = 100;
/** The first generation's list has no pages. */
const runningMax = 999;
const states = ["running", "paused"] as const;

const runningSchema = z.object({ metadata: z.string().optional() });
const pageSchema = z.object({
  metadata: z.string().optional(),
  state: queryList.pipe(z.array(z.enum(states, `must be ${states.join(" or ")}`))).default([]),
  order: z.enum(["asc", "desc"]).default("desc"),
  startedAfter: z.iso.datetime({ offset: true, error: "must be a time as in RFC 3339" }).optional(),
  template: z.string().optional(),
  limit: queryInt(1, pageMax).default(pageMax),
  nextToken: z.string().optional(),
});

export function addListRoutes(app: FastifyInstance, deps: E2bDeps): void {
  const url = "/sandboxes";
  addRoute(app, deps, { method: "GET", url, status: 200, handle: (call) => listRunning(deps, call) });
  addRoute(app, deps, {
    method: "GET",
    url: `/v2${url}`,
    status: 200,
    handle: (call) => listPage(deps, call),
  });
}

async function listRunning({ registry }: E2bDeps, { team, request }: Call) {
  const metadata = parseMetadataQuery(parseQuery(runningSchema, request).metadata);
  const query = { states: ["running"], metadata, order: "newest", limit: runningMax } as const;
  const { items } = await registry.sandboxes.list(team, query);
  return items.map(listedBody);
}

async function listPage({ registry }: E2bDeps, { team, request, reply }: Call) {
  const query = parsePageQuery(request);
  const { items, hasMore } = await registry.sandboxes.list(team, query);
  const last = items.at(-1);
  if (hasMore && last !== undefined)
    reply.header("X-Next-Token", toToken(`sandboxes ${query.order}`, { at: last.startedAt, id: last.id }));
  if (query.states.length === 0 || query.states.includes("running"))
    reply.header("X-Total-Running", String(registry.sandboxes.countRunning(team)));
  return items.map(listedBody);
}

function parsePageQuery(request: FastifyRequest): ListQuery {
  const query = parseQuery(pageSchema, request);
  const { template, startedAfter } = query;
  if (template?.includes(":") === true) throw refused("template: is an id or a name, without a tag");
  const order = query.order === "asc" ? "oldest" : "newest";
  const after = fromToken(`sandboxes ${order}`, query.nextToken);
  const asked = new Set(query.state);
  return {
    // Both is what nobody's asking gives: then those on lost nodes are there too.
    states: asked.size === states.length ? [] : [...asked],
    metadata: parseMetadataQuery(query.metadata),
    order,
    limit: query.limit,
    ...(template === undefined ? {} : { template }),
    ...(startedAfter === undefined ? {} : { startedAfter: new Date(startedAfter) }),
    ...(after === undefined ? {} : { after: { startedAt: after.at, id: after.id } }),
  };
}
