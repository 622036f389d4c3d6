/** Snapshots. Deleting one is a route of templates: to E2B's clients, snapshots are such. */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { parseSourceName } from "../fleet/source-name.js";
import { addRoute, type Call, type E2bDeps, sandboxIdOf } from "./call.js";
import { snapshotBody } from "./convert.js";
import { fromToken, toToken } from "./paging.js";
import { parseBody, parseQuery, queryInt, refused } from "./parse.js";

const pageMax = 100;
const newSchema = z.object({ name: z.string().nullish() });
const listSchema = z.object({
  sandboxID: z.string().optional(),
  name: z.string().optional(),
  limit: queryInt(1, pageMax).default(pageMax),
  nextToken: z.string().optional(),
});

export function addSnapshotRoutes(app: FastifyInstance, deps: E2bDeps): void {
  addRoute(app, deps, {
    method: "POST",
    url: "/sandboxes/:sandboxID/snapshots",
    status: 201,
    async handle(call) {
      const { name } = parseBody(newSchema, call.request);
      const options = name ? { name: ownName(call, name) } : {};
      const id = sandboxIdOf(call);
      const snapshot = await deps.registry.snapshots.create(call.team, id, options, call.signal);
      return snapshotBody(snapshot, call.team);
    },
  });
  addRoute(app, deps, { method: "GET", url: "/snapshots", status: 200, handle: (call) => list(deps, call) });
}

/** A namespace has to be the team's own; a snapshot has no tags. */
function ownName({ team }: Call, text: string): string {
  const { namespace, name, tag } = parseSourceName(text);
  if (namespace !== undefined && namespace !== team.name)
    throw refused(`name: the namespace can only be ${team.name}`);
  if (tag !== undefined) throw refused("name: tags of snapshots are not supported", "leave the tag out");
  return name;
}

async function list({ registry }: E2bDeps, { team, request, reply }: Call) {
  const { sandboxID, name, limit, nextToken } = parseQuery(listSchema, request);
  const named = name === undefined ? undefined : parseSourceName(name);
  // Names have the team's namespace alone, and no tags.
  if ((named?.namespace ?? team.name) !== team.name || named?.tag !== undefined) return [];
  const after = fromToken("snapshots", nextToken);
  const { items, hasMore } = await registry.snapshots.list(team, {
    limit,
    ...(sandboxID === undefined ? {} : { sandbox: sandboxID }),
    ...(named === undefined ? {} : { name: named.name }),
    ...(after === undefined ? {} : { after: { createdAt: after.at, id: after.id } }),
  });
  const last = items.at(-1);
  if (hasMore && last !== undefined)
    reply.header("X-Next-Token", toToken("snapshots", { at: last.createdAt, id: last.id }));
  return items.map((snapshot) => snapshotBody(snapshot, team));
}
