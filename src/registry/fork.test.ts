import { afterAll, expect, it } from "vitest";
import { aNode, aSandbox, aTeam } from "../../test/contract/registry-records.js";
import { DomainError } from "../lib/errors.js";
import { openScope } from "../lib/scope.js";
import { openSqliteStore } from "../registry-store/sqlite/open-sqlite-store.js";
import type { Deps } from "./deps.js";
import { forkSandbox } from "./fork.js";
import { openOwned } from "./owned.js";
import { createTurns } from "./turns.js";
import { createUsage } from "./usage.js";

const scope = openScope();
afterAll(() => scope[Symbol.asyncDispose]());
const id = (letter: string) => letter.repeat(20);

/** Of a sandbox `a`, which is cloned as `b` and `c`. Its client goes away once these are recorded, and before it is answered. */
async function open() {
  const leaving = new AbortController();
  const store = scope.use(await openSqliteStore(":memory:"));
  await store.teams.insert(aTeam("t1"));
  await store.nodes.insert(aNode("n1"));
  const usage = createUsage();
  const owned = openOwned(store.sandboxes, (sandbox, record) => {
    usage.changed(sandbox, record);
    if (sandbox === id("c")) leaving.abort(new DomainError("cancelled", "the client went away"));
  });
  await owned.insert([aSandbox(id("a"))]);
  const deleted: string[] = [];
  const sandboxes = {
    async *fork() {
      for (const [index, value] of [{ id: id("b") }, { id: id("c") }].entries())
        yield { event: { case: "clone", value: { index, result: { case: "sandbox", value } } } };
    },
    delete: async ({ sandbox }: { sandbox: string }) => void deleted.push(sandbox),
  };
  const nodes = { list: () => [], get: () => ({}), api: () => ({ sandboxes }) };
  const parts = {
    store,
    owned,
    nodes,
    usage,
    turns: createTurns(),
    inFlight: new Map(),
    now: () => new Date(),
  };
  const deps = { ...parts, settings: { workMs: 1000, askMs: 1000 } } as unknown as Deps;
  const fork = (request?: { key: string; hash: string }) =>
    forkSandbox(
      deps,
      aTeam("t1"),
      id("a"),
      { count: 2, timeoutMs: 60_000, ...(request === undefined ? {} : { request }) },
      leaving.signal,
    );
  return { store, usage, deleted, fork };
}

it("leaves nothing for a client that went away before it was answered", async () => {
  const { store, usage, deleted, fork } = await open();
  await expect(fork()).rejects.toMatchObject({ code: "cancelled" });
  expect(deleted.sort()).toEqual([id("b"), id("c")]);
  expect((await store.sandboxes.ofNode(aNode("n1").id)).map((sandbox) => sandbox.id)).toEqual([id("a")]);
  expect(usage.of(aTeam("t1").id)).toMatchObject({ sandboxes: 1, forksInFlight: 0 });
});

it("keeps what a client with a key can ask for again", async () => {
  const { store, deleted, fork } = await open();
  await expect(fork({ key: "k", hash: "h" })).rejects.toMatchObject({ code: "cancelled" });
  expect(deleted).toEqual([]);
  expect((await store.requests.find(aTeam("t1").id, "k"))?.sandboxes).toEqual([id("b"), id("c")]);
  expect(await store.sandboxes.ofNode(aNode("n1").id)).toHaveLength(3);
});
