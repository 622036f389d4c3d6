import { afterAll, expect, it } from "vitest";
import {
  aNode,
  aSandbox,
  aSnapshot,
  aTeam,
  nodeId,
  now,
  teamId,
} from "../../test/contract/registry-records.js";
import type { NodeHealth } from "../fleet/node.js";
import { openScope } from "../lib/scope.js";
import { openSqliteStore } from "../registry-store/sqlite/open-sqlite-store.js";
import { openOnNodes } from "./on-nodes.js";
import { openOwned } from "./owned.js";
import { createTurns } from "./turns.js";

const scope = openScope();
afterAll(() => scope[Symbol.asyncDispose]());

async function open(health: NodeHealth) {
  const store = scope.use(await openSqliteStore(":memory:"));
  for (const team of ["t1", "t2"]) await store.teams.insert(aTeam(team));
  for (const node of ["n1", "n2"]) await store.nodes.insert(aNode(node));
  const deleted: string[] = [];
  const owned = openOwned(store.sandboxes, (id, sandbox) => {
    if (sandbox === undefined) deleted.push(id);
  });
  await owned.insert([
    aSandbox("s1"),
    aSandbox("s2", { team: teamId("t2"), state: { status: "killing" } }),
    aSandbox("s3", { state: { status: "lost", lastSeenAt: now, wasPaused: true } }),
    aSandbox("s4", { node: nodeId("n2") }),
  ]);
  await store.catalogue.insert(aSnapshot("p1", { name: "mine" }));
  await store.catalogue.insert(aSnapshot("p2", { node: nodeId("n2") }));
  const get = () => ({ record: aNode("n1"), health });
  const nodes = { list: () => [], get, api: () => Promise.reject(new Error("no node is called")) as never };
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  return {
    store,
    deleted,
    onNodes: openOnNodes({ owned, nodes, turns: createTurns(), inFlight: new Map(), log, store }),
  };
}

it("forgets all that is on a node that is lost, and nothing elsewhere", async () => {
  const { store, deleted, onNodes } = await open("lost");
  await expect(store.nodes.delete(nodeId("n1"))).rejects.toMatchObject({ code: "failed_precondition" });
  await onNodes.forget(nodeId("n1"));
  expect(deleted.sort()).toEqual(["s1", "s2", "s3"]);
  expect(await store.sandboxes.ofNode(nodeId("n1"))).toEqual([]);
  expect(await store.catalogue.find("p1")).toBeUndefined();
  await store.nodes.delete(nodeId("n1"));
  expect(await store.sandboxes.find("s4")).toBeDefined();
  expect(await store.catalogue.find("p2")).toBeDefined();
});

it.each(["ready", "unreachable"] as const)("forgets nothing on one that is %s", async (health) => {
  const { store, deleted, onNodes } = await open(health);
  await expect(onNodes.forget(nodeId("n1"))).rejects.toMatchObject({
    ...{ code: "failed_precondition", message: `node node-n1 is ${health}, not lost` },
  });
  expect(deleted).toEqual([]);
  expect(await store.catalogue.find("p1")).toBeDefined();
});
