/** /admin/v1/nodes and /admin/v1/tokens: which nodes there are, what is on them, and how others join. */
import { z } from "zod";
import type { NodeReport } from "../fleet/node.js";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import { DomainError } from "../lib/errors.js";
import { quote } from "../lib/ids.js";
import { makeJoinToken, type TokenDeps, tokenTtlMs } from "../registry/join-tokens.js";
import type { Nodes, NodeView } from "../registry/nodes.js";
import type { OnNodes } from "../registry/on-nodes.js";
import type { Registry } from "../registry/registry.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import { type AdminRoute, route } from "./routes.js";

const tokenSchema = z.strictObject({
  // How long it may be is said by whoever makes it, in words.
  ttlS: z.int().default(tokenTtlMs.usual / 1000),
});
const changeSchema = z.strictObject({ cordoned: z.boolean() });
const removalSchema = z.strictObject({ force: z.enum(["true", "false"]).default("false") });

export interface NodeRoutesDeps extends TokenDeps {
  readonly nodes: Pick<Nodes, "list" | "find" | "cordon" | "remove">;
  readonly store: TokenDeps["store"] & {
    readonly sandboxes: Pick<RegistryStore["sandboxes"], "find" | "ofNode">;
    readonly teams: Pick<RegistryStore["teams"], "get">;
  };
  readonly registry: { readonly sandboxes: Pick<Registry["sandboxes"], "pause"> };
  readonly onNodes: OnNodes;
}

export function nodeRoutes(deps: NodeRoutesDeps): readonly AdminRoute[] {
  const { nodes, store, registry, onNodes } = deps;
  const withCounts = async (view: NodeView) => nodeView(view, await counts(deps, view));
  return [
    route("GET /nodes", {}, () => Promise.all(nodes.list().map(withCounts))),
    route("GET /nodes/:node", {}, async ({ param }) => withCounts(nodes.find(param("node")))),
    route("PATCH /nodes/:node", { body: changeSchema }, async ({ param, body: { cordoned } }) =>
      withCounts(await nodes.cordon(nodes.find(param("node")).record.id, cordoned)),
    ),
    route("DELETE /nodes/:node", { query: removalSchema, status: 204 }, async ({ param, query }) => {
      const { id } = nodes.find(param("node")).record;
      if (query.force === "true") await onNodes.forget(id);
      await nodes.remove(id);
    }),
    route("GET /nodes/:node/sandboxes", {}, async ({ param }) =>
      (await store.sandboxes.ofNode(nodes.find(param("node")).record.id)).map(sandboxView),
    ),
    route("POST /nodes/:node/sandboxes/:sandbox/pause", {}, async ({ param, signal }) => {
      const { id, team } = await findOn(deps, nodes.find(param("node")), param("sandbox"));
      await registry.sandboxes.pause(await store.teams.get(team), id, { keepsMemory: true }, signal);
      const paused = await store.sandboxes.find(id);
      return paused === undefined ? { id, team, status: "killing" } : sandboxView(paused);
    }),
    route("POST /tokens", { body: tokenSchema, status: 201 }, async ({ body: { ttlS } }) => {
      const { id, token, expiresAt } = await makeJoinToken(deps, ttlS * 1000);
      return { id, token, expiresAt: expiresAt.toISOString() };
    }),
  ];
}

async function findOn({ store }: NodeRoutesDeps, { record }: NodeView, id: string): Promise<OwnedSandbox> {
  const found = await store.sandboxes.find(id);
  if (found?.node === record.id) return found;
  throw new DomainError("not_found", `node ${record.name} has no sandbox ${quote(id)}`);
}

function sandboxView({ id, team, state }: OwnedSandbox) {
  const { status } = state;
  return { id, team, status, ...(status === "lost" ? { lastSeenAt: state.lastSeenAt.toISOString() } : {}) };
}

async function counts({ store, onNodes }: NodeRoutesDeps, { record }: NodeView) {
  const making = onNodes.making(record.id);
  const all = await store.sandboxes.ofNode(record.id);
  const inState = (status: OwnedSandbox["state"]["status"]) =>
    all.filter(({ state }) => state.status === status).length;
  const [paused, lost] = [inState("paused"), inState("lost")];
  return { running: all.length - paused - lost, paused, lost, making };
}

function nodeView({ record, health, report }: NodeView, sandboxes: Awaited<ReturnType<typeof counts>>) {
  const { id, name, address, joinedAt, seenAt, isCordoned } = record;
  return {
    ...{ id, name, address, health, cordoned: isCordoned, sandboxes },
    joinedAt: joinedAt.toISOString(),
    seenAt: seenAt.toISOString(),
    ...(report === undefined ? {} : { report: reportView(report) }),
  };
}

function reportView({ templates, checkpoints, images, ...report }: NodeReport) {
  return {
    ...report,
    templates: templates.map(({ name, slotsReady }) => ({ name, slotsReady })),
    checkpoints: checkpoints.length,
    images: images.length,
  };
}
