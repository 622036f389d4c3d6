/** Sandboxes: one by one, several in one step, and the requests that made them. */
import { describe, expect, it } from "vitest";
import type { OwnedSandbox, SandboxOutline } from "../../src/fleet/sandbox.js";
import { DomainError } from "../../src/lib/errors.js";
import type { AnsweredRequest } from "../../src/registry-store/registry-store.js";
import { aSandbox, failing, later, nodeId, now, teamId } from "./registry-records.js";
import type { Subject } from "./registry-store.js";

const states: readonly OwnedSandbox["state"][] = [
  { status: "running" },
  { status: "pausing" },
  { status: "paused", keepsMemory: true },
  { status: "paused", keepsMemory: false },
  { status: "resuming", keepsMemory: true },
  { status: "killing" },
  { status: "lost", lastSeenAt: later(-1), wasPaused: true },
  { status: "lost", lastSeenAt: later(1), wasPaused: false },
];

/** With every optional field. */
const full = aSandbox("full", {
  alias: "base:v1",
  onTimeout: { kind: "pause", keepsMemory: true, resumesOnTraffic: false },
  metadata: { "": "", 'a"b': "c\u0000d", __proto__x: "ü🦀", constructor: "x" },
  accessToken: "token",
  trafficToken: "",
  allowInternetAccess: false,
  network: { allowOut: ["1.1.1.1"], rules: { "x.example": [null, 1.5, true] } },
  startedAt: later(1),
  cpus: 0.25,
  memoryBytes: 2 ** 52,
});

const aRequest = (key: string, over: Partial<AnsweredRequest> = {}): AnsweredRequest => ({
  team: teamId("t1"),
  key,
  requestHash: "abc",
  sandboxes: ["s1"],
  answeredAt: now,
  ...over,
});

export function sandboxesContract(subject: Subject): void {
  describe("sandboxes", () => {
    it.each(states)("are kept exactly while %j", async (state) => {
      const { sandboxes } = subject.store;
      await sandboxes.insert([aSandbox("s1", { state })]);
      expect(await sandboxes.get("s1")).toEqual(aSandbox("s1", { state }));
    });

    it.each([{ network: null }, { network: [] }, {}, full])("are kept exactly with %j", async (over) => {
      const { sandboxes } = subject.store;
      const sandbox = { ...aSandbox("s1"), ...over, id: "s1" };
      await sandboxes.insert([sandbox]);
      expect(await sandboxes.find("s1")).toStrictEqual(sandbox);
    });

    it("of a fork are made in one step, all or none", async () => {
      const { sandboxes } = subject.store;
      await sandboxes.insert([aSandbox("s1"), aSandbox("s2")]);
      await expect(sandboxes.insert([aSandbox("s3"), aSandbox("s2")])).rejects.toMatchObject(
        failing("already_exists", /s2/),
      );
      expect(await sandboxes.find("s3")).toBeUndefined();
    });

    it("belong to a team and a node that are there", async () => {
      const { sandboxes } = subject.store;
      for (const over of [{ team: teamId("x") }, { node: nodeId("x") }])
        await expect(sandboxes.insert([aSandbox("s1", over)])).rejects.toMatchObject(failing("not_found"));
      expect(await sandboxes.find("s1")).toBeUndefined();
    });

    it("change by a function, as a whole or not at all", async () => {
      const { sandboxes } = subject.store;
      await sandboxes.insert([full, aSandbox("other")]);
      const { alias: _, accessToken: __, ...rest } = full;
      const changed = { ...rest, state: states[6] ?? full.state, endAt: later(5), node: nodeId("n2") };
      expect(await sandboxes.update("full", () => changed)).toEqual(changed);
      expect(await sandboxes.get("full")).toStrictEqual(changed);
      const refusing = sandboxes.update("full", () => {
        throw new DomainError("failed_precondition", "the sandbox is lost");
      });
      await expect(refusing).rejects.toMatchObject(failing("failed_precondition", /is lost/));
      expect(await sandboxes.get("full")).toEqual(changed);
      expect(await sandboxes.get("other")).toEqual(aSandbox("other"));
    });

    it("lose no change when many come at once, also among failing ones", async () => {
      const { sandboxes } = subject.store;
      await sandboxes.insert([aSandbox("s1", { timeoutMs: 0 })]);
      const changes = Array.from({ length: 300 }, (_, n) =>
        sandboxes.update("s1", (it) => {
          if (n % 3 === 0) throw new DomainError("failed_precondition", "not this one");
          return { ...it, timeoutMs: it.timeoutMs + 1 };
        }),
      );
      const settled = await Promise.allSettled(changes);
      expect(settled.filter(({ status }) => status === "rejected").length).toBe(100);
      expect((await sandboxes.get("s1")).timeoutMs).toBe(200);
      const seen = settled.flatMap((it) => (it.status === "fulfilled" ? [it.value.timeoutMs] : []));
      expect(new Set(seen).size).toBe(200);
    });

    it("let only one of two moves from the same state win", async () => {
      const { sandboxes } = subject.store;
      await sandboxes.insert([aSandbox("s1")]);
      const pause = () =>
        sandboxes.update("s1", (it) => {
          if (it.state.status !== "running") throw new DomainError("failed_precondition", it.state.status);
          return { ...it, state: { status: "pausing" } };
        });
      const settled = await Promise.allSettled([pause(), pause(), pause()]);
      expect(settled.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected", "rejected"]);
    });

    it("that are not there are not found, and may be deleted", async () => {
      const { sandboxes } = subject.store;
      await expect(sandboxes.get("x")).rejects.toMatchObject(failing("not_found", /x/));
      await expect(sandboxes.update("x", (it) => it)).rejects.toMatchObject(failing("not_found"));
      expect(await sandboxes.find("x")).toBeUndefined();
      await sandboxes.insert([aSandbox("s1"), aSandbox("s2")]);
      for (let times = 0; times < 2; times++) await sandboxes.delete("s1");
      expect(await sandboxes.find("s1")).toBeUndefined();
      expect(await sandboxes.find("s2")).toBeDefined();
    });

    it("are found by their node", async () => {
      const { sandboxes } = subject.store;
      await sandboxes.insert([aSandbox("s1"), aSandbox("s2", { node: nodeId("n2") }), aSandbox("s3")]);
      const ids = (await sandboxes.ofNode(nodeId("n1"))).map(({ id }) => id);
      expect(ids.sort()).toEqual(["s1", "s3"]);
      expect(await sandboxes.ofNode(nodeId("n2"))).toEqual([aSandbox("s2", { node: nodeId("n2") })]);
      expect(await sandboxes.ofNode(nodeId("x"))).toEqual([]);
    });

    it("have outlines, in each of their states", async () => {
      const { sandboxes } = subject.store;
      const all = [full, ...states.map((state, n) => aSandbox(`s${n}`, { state }))];
      await sandboxes.insert(all);
      const read: SandboxOutline[] = [];
      for await (const some of sandboxes.outlines()) read.push(...some);
      const outlineOf = (sandbox: OwnedSandbox): SandboxOutline => {
        const { id, team, node, template, endAt, cpus, memoryBytes, diskBytes } = sandbox;
        const { status } = sandbox.state;
        return { id, team, node, template, state: { status }, endAt, cpus, memoryBytes, diskBytes };
      };
      expect(read.sort((a, b) => (a.id < b.id ? -1 : 1))).toStrictEqual(all.map(outlineOf));
    });

    it("are all read, once each, while some come and go", async () => {
      const { sandboxes } = subject.store;
      const kept = Array.from({ length: 2500 }, (_, n) => aSandbox(`s${String(n).padStart(5, "0")}`));
      await sandboxes.insert(kept);
      const read: string[] = [];
      for await (const some of sandboxes.outlines()) {
        const isFirst = read.length === 0;
        read.push(...some.map(({ id }) => id));
        if (isFirst) {
          await sandboxes.insert([aSandbox("a-new-one"), aSandbox("z-new-one")]);
          await sandboxes.delete("s02400");
        }
      }
      const old = read.filter((id) => !id.endsWith("new-one") && id !== "s02400");
      expect(old.sort()).toEqual(kept.map(({ id }) => id).filter((id) => id !== "s02400"));
      expect(new Set(read).size).toBe(read.length);
    });
  });

  describe("requests", () => {
    it("are kept with what they made, in one step", async () => {
      const { sandboxes, requests } = subject.store;
      const request = aRequest("k", { sandboxes: ["s1", "s2"], answeredAt: later(3) });
      await sandboxes.insert([aSandbox("s1"), aSandbox("s2")], request);
      expect(await requests.find(teamId("t1"), "k")).toEqual(request);
      expect(await requests.find(teamId("t2"), "k")).toBeUndefined();
      expect(await requests.find(teamId("t1"), "K")).toBeUndefined();
    });

    it("are unique in a team: a second one makes nothing", async () => {
      const { sandboxes, requests } = subject.store;
      await sandboxes.insert([aSandbox("s1")], aRequest("k"));
      const again = sandboxes.insert([aSandbox("s2")], aRequest("k", { sandboxes: ["s2"] }));
      await expect(again).rejects.toMatchObject(failing("already_exists", /request k/));
      expect(await sandboxes.find("s2")).toBeUndefined();
      const taken = sandboxes.insert([aSandbox("s1")], aRequest("other"));
      await expect(taken).rejects.toMatchObject(failing("already_exists", /s1/));
      expect(await requests.find(teamId("t1"), "other")).toBeUndefined();
      await sandboxes.insert([aSandbox("s3")], aRequest("k", { team: teamId("t2") }));
    });

    it("go when they are old, and what they made stays", async () => {
      const { sandboxes, requests } = subject.store;
      const old = Array.from({ length: 4500 }, (_, n) =>
        sandboxes.insert([], aRequest(`old ${n}`, { answeredAt: later(n % 10) })),
      );
      await Promise.all(old);
      await sandboxes.insert([aSandbox("s1")], aRequest("new", { answeredAt: later(10) }));
      expect(await requests.removeAnswered(later(10))).toBe(4500);
      expect(await requests.removeAnswered(later(10))).toBe(0);
      expect(await requests.find(teamId("t1"), "old 0")).toBeUndefined();
      expect(await requests.find(teamId("t1"), "new")).toBeDefined();
      expect(await sandboxes.find("s1")).toBeDefined();
    });
  });
}
