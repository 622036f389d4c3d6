import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mebibyte, report } from "../../test/support/fleet.js";
import type { NodeId } from "../fleet/node.js";
import { DomainError } from "../lib/errors.js";
import { openScope, type Scope } from "../lib/scope.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import { openSqliteStore } from "../registry-store/sqlite/open-sqlite-store.js";
import type { NodeView } from "./nodes.js";
import { openPools, type PoolsParts } from "./pools.js";

let scope: Scope;
beforeEach(() => {
  scope = openScope();
});
afterEach(() => scope[Symbol.asyncDispose]());

const view = (name: string, slotsReady: number, over: Partial<NodeView> = {}): NodeView => ({
  record: {
    ...{ id: name as NodeId, name, address: "", certificate: "" },
    ...{ joinedAt: new Date(0), seenAt: new Date(0), isCordoned: false },
  },
  health: "ready",
  report: report({
    templates: [{ name: "python", checkpoint: "golden", slotsReady, cloneBytes: 4 * mebibyte }],
  }),
  ...over,
});
const cordoned = (it: NodeView): NodeView => ({ ...it, record: { ...it.record, isCordoned: true } });

/** Nodes as a table; what they are told goes into a list, and they answer as they are set to. */
async function open(store?: RegistryStore, startedMs = 60_000) {
  const at = { views: [view("a", 0), view("b", 0)], claimed: 0, nowMs: Date.UTC(2026, 0, 5), failing: "" };
  const told: string[] = [];
  const warned: unknown[] = [];
  const setSlots: ReturnType<PoolsParts["nodes"]["api"]>["templates"]["setSlots"] = async () => ({
    $typeName: "ramet.v1.SetSlotsResponse",
  });
  const pools = scope.use(
    openPools({
      store: store ?? scope.use(await openSqliteStore(":memory:")),
      nodes: {
        list: () => at.views,
        api: (id) => ({
          templates: {
            async setSlots(request, options) {
              if (at.failing === id) throw new DomainError("unavailable", "connection refused");
              told.push(`${id} ${request.name} ${request.min}-${request.max}`);
              return await setSlots(request, options);
            },
          },
        }),
      },
      claimed: async () => at.claimed,
      now: () => new Date(at.nowMs),
      log: { info: () => {}, warn: (entry: unknown) => void warned.push(entry), error: () => {} },
    }),
  );
  const round = async () => {
    await pools.round();
    return told.splice(0).sort();
  };
  at.nowMs += startedMs;
  return { at, pools, round, warned };
}

describe("pools", () => {
  it("tells nodes what they are to keep, once", async () => {
    const { pools, round } = await open();
    await pools.set("python", { min: 5 });
    expect(await round()).toEqual(["a python 3-3", "b python 2-2"]);
    expect(await round()).toEqual([]);
    await pools.set("python", { min: 6 });
    expect(await round()).toEqual(["b python 3-3"]);
  });

  it("waits after a start for the nodes that have not reported yet, and not for long", async () => {
    const { at, pools, round } = await open(undefined, 0);
    const { report: _, ...silent } = view("b", 2);
    at.views = [view("a", 2), { ...silent, health: "unreachable" }];
    await pools.set("python", { min: 4 });
    expect(await round()).toEqual([]);
    at.views = [view("a", 2), view("b", 2)];
    expect(await round()).toEqual(["a python 2-2", "b python 2-2"]);
    at.views = [view("a", 2), { ...silent, health: "unreachable" }];
    at.nowMs += 10_000;
    expect(await round()).toEqual(["a python 4-4"]);
  });

  it("keeps the last decision and its reason", async () => {
    const { at, pools, round } = await open();
    expect(await pools.set("python", { min: 5 })).not.toHaveProperty("state");
    at.views = [view("a", 3), view("b", 1)];
    at.claimed = 1;
    await round();
    expect((await pools.get("python")).state).toEqual({
      ...{
        target: 4,
        placed: 4,
        claimed: 1,
        ready: 4,
        nodes: 2,
        problems: [],
        decidedAt: new Date(at.nowMs),
      },
      why: "4 warm: min is 5 and 1 are claimed",
    });
    expect(await pools.list()).toEqual([await pools.get("python")]);
  });

  it("ends the slots of a pool that is removed, and of nodes that are cordoned", async () => {
    const { at, pools, round } = await open();
    await pools.set("python", { min: 4 });
    expect(await round()).toEqual(["a python 2-2", "b python 2-2"]);
    at.views = [cordoned(view("a", 2)), view("b", 2)];
    expect(await round()).toEqual(["a python 0-0", "b python 4-4"]);
    expect(await round()).toEqual([]);
    await pools.remove("python");
    expect(await round()).toEqual(["a python 0-0", "b python 0-0"]);
    expect(await round()).toEqual([]);
  });

  it.each<[string, (it: NodeView) => NodeView]>([
    ["is away", (it) => ({ ...it, health: "unreachable" })],
    ["has no report yet", ({ report: _, ...it }) => it],
    ["has lost the template", (it) => ({ ...it, report: report() })],
  ])("says nothing to a node that %s, and tells it again when that is over", async (_what, change) => {
    const { at, pools, round } = await open();
    await pools.set("python", { min: 4 });
    await round();
    at.views = [change(view("a", 2)), view("b", 2)];
    expect(await round()).toEqual(["b python 4-4"]);
    at.views = [view("a", 2), view("b", 4)];
    // What it still has is not ended at once.
    expect(await round()).toEqual(["a python 1-2", "b python 3-4"]);
  });

  it("ends the slots of a pool that is removed on a node that was away, once it is back", async () => {
    const { at, pools, round } = await open();
    await pools.set("python", { min: 4 });
    await round();
    const gone = { ...view("c", 2), health: "lost" } as const;
    at.views = [{ ...view("a", 2), health: "unreachable" }, view("b", 2), gone];
    expect(await round()).toEqual(["b python 4-4"]);
    await pools.remove("python");
    expect(await round()).toEqual(["b python 0-0"]);
    expect(await round()).toEqual([]);
    // Whether the third one was told before the registry began is not known.
    at.views = [view("a", 2), view("b", 0), view("c", 2)];
    expect(await round()).toEqual(["a python 0-0", "c python 0-0"]);
    expect(await round()).toEqual([]);
  });

  it("ends them where the registry has begun again before a node was told", async () => {
    const store = scope.use(await openSqliteStore(":memory:"));
    const before = await open(store);
    await before.pools.set("python", { min: 4 });
    await before.round();
    before.at.failing = "a";
    await before.pools.remove("python");
    expect(await before.round()).toEqual(["b python 0-0"]);
    await before.pools[Symbol.asyncDispose]();

    const { at, pools, round } = await open(store);
    at.views = [{ ...view("a", 2), health: "unreachable" }, view("b", 0), view("c", 0, { report: report() })];
    expect(await pools.list()).toEqual([]);
    expect(await round()).toEqual(["b python 0-0"]);
    at.views = [view("a", 2), view("b", 0)];
    expect(await round()).toEqual(["a python 0-0"]);
    expect(await round()).toEqual([]);
    expect(await store.pools.listRemoved()).toEqual([]);
  });

  it("tells nodes again what they are to keep when it is set again before all were told", async () => {
    const { at, pools, round } = await open();
    await pools.set("python", { min: 4 });
    await round();
    at.views = [{ ...view("a", 2), health: "unreachable" }, view("b", 2)];
    await pools.remove("python");
    expect(await round()).toEqual(["b python 0-0"]);
    await pools.set("python", { min: 4 });
    expect(await round()).toEqual(["b python 4-4"]);
    at.views = [view("a", 2), view("b", 4)];
    expect(await round()).toEqual(["a python 1-2", "b python 3-4"]);
    await pools.remove("python");
    expect(await round()).toEqual(["a python 0-0", "b python 0-0"]);
    expect(await round()).toEqual([]);
  });

  it("tries again what has failed, and logs it once", async () => {
    const { at, pools, round, warned } = await open();
    at.failing = "a";
    await pools.set("python", { min: 4 });
    expect(await round()).toEqual(["b python 2-2"]);
    expect(await round()).toEqual([]);
    expect((await pools.get("python")).state?.problems).toEqual(["connection refused"]);
    expect(warned).toHaveLength(1);
    at.failing = "";
    expect(await round()).toEqual(["a python 2-2"]);
    expect((await pools.get("python")).state?.problems).toEqual([]);
  });

  it("changes what is named, and takes back to its default what is null", async () => {
    const { pools } = await open();
    await pools.set("python", { min: 4, max: 9, memoryBytes: 7 });
    expect((await pools.set("python", { max: 8 })).settings).toMatchObject({
      min: 4,
      max: 8,
      memoryBytes: 7,
    });
    const { settings } = await pools.set("python", { max: null, memoryBytes: null });
    expect(settings).toEqual({
      ...{
        template: "python",
        min: 4,
        max: 100,
        minAvailableRatio: 0.1,
        maxAvailableRatio: 0.5,
        schedules: [],
      },
    });
  });

  it("refuses what makes no sense, and keeps what was", async () => {
    const { pools } = await open();
    await pools.set("python", { min: 4 });
    await expect(pools.set("python", { max: 3 })).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(pools.set("No Name", {})).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(pools.get("other")).rejects.toMatchObject({ code: "not_found" });
    await expect(pools.remove("other")).rejects.toMatchObject({ code: "not_found" });
    expect((await pools.list()).map(({ settings }) => settings.max)).toEqual([100]);
  });
});
