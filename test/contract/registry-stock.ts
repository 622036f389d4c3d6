/** Teams, keys, tokens, nodes, pools, requests; and what holds for all calls. */
import { describe, expect, it } from "vitest";
import type { PoolSettings } from "../../src/fleet/pool.js";
import {
  aKey,
  aNode,
  aSandbox,
  aSnapshot,
  aTeam,
  aToken,
  failing,
  later,
  nodeId,
  now,
  teamId,
} from "./registry-records.js";
import type { Subject } from "./registry-store.js";

const awkward = "'; DROP TABLE teams; -- \u0000 ü 🦀 \\ \" %_";

export function stockContract(subject: Subject): void {
  describe("teams", () => {
    it("are kept exactly, found by id and by name, and listed by name", async () => {
      const { teams } = subject.store;
      const limits = { sandboxes: 0, cpus: 0.5, memoryBytes: 2 ** 50, forksInFlight: 3 };
      const team = aTeam("a", { name: "alpha", limits, createdAt: later(7) });
      await teams.insert(team);
      expect(await teams.get(team.id)).toEqual(team);
      expect(await teams.findByName("alpha")).toEqual(team);
      expect(await teams.findByName("Alpha")).toBeUndefined();
      expect((await teams.list()).map(({ name }) => name)).toEqual(["alpha", "team-t1", "team-t2"]);
    });

    it("have unique ids and names", async () => {
      const { teams } = subject.store;
      await expect(teams.insert(aTeam("t1", { name: "x" }))).rejects.toMatchObject(failing("already_exists"));
      const twin = aTeam("x", { name: "team-t1" });
      await expect(teams.insert(twin)).rejects.toMatchObject(failing("already_exists", /team-t1/));
      expect((await teams.list()).length).toBe(2);
    });

    it("get other limits, as a whole", async () => {
      const { teams } = subject.store;
      await teams.setLimits(teamId("t1"), { sandboxes: 5, cpus: 4 });
      expect(await teams.setLimits(teamId("t1"), { cpus: 8 })).toEqual(aTeam("t1", { limits: { cpus: 8 } }));
      expect(await teams.get(teamId("t1"))).toEqual(aTeam("t1", { limits: { cpus: 8 } }));
      expect(await teams.get(teamId("t2"))).toEqual(aTeam("t2"));
    });

    it("that are not there are not found", async () => {
      const { teams } = subject.store;
      await expect(teams.get(teamId("x"))).rejects.toMatchObject(failing("not_found", /x/));
      await expect(teams.setLimits(teamId("x"), {})).rejects.toMatchObject(failing("not_found"));
    });

    it("keep any text", async () => {
      const { teams } = subject.store;
      await teams.insert(aTeam("a", { name: awkward }));
      expect((await teams.findByName(awkward))?.name).toBe(awkward);
    });
  });

  describe("keys", () => {
    it("are kept exactly, found by their hash, and listed oldest first", async () => {
      const { keys } = subject.store;
      const all = [aKey("k2", { createdAt: later(2) }), aKey("k1", { createdAt: later(1) })];
      for (const key of [...all, aKey("k3", { team: teamId("t2") })]) await keys.insert(key);
      expect(await keys.findByHash("hash of k2")).toEqual(all[0]);
      expect(await keys.findByHash("hash of k9")).toBeUndefined();
      expect(await keys.list(teamId("t1"))).toEqual([...all].reverse());
      expect(await keys.list(teamId("x"))).toEqual([]);
    });

    it("are unique, and belong to a team that is there", async () => {
      const { keys } = subject.store;
      await keys.insert(aKey("k1"));
      await expect(keys.insert(aKey("k1", { hash: "x" }))).rejects.toMatchObject(failing("already_exists"));
      await expect(keys.insert(aKey("k2", { hash: "hash of k1" }))).rejects.toMatchObject(
        failing("already_exists"),
      );
      await expect(keys.insert(aKey("k3", { team: teamId("x") }))).rejects.toMatchObject(
        failing("not_found"),
      );
    });

    it("are revoked once, and only by their team", async () => {
      const { keys } = subject.store;
      await keys.insert(aKey("k1"));
      await expect(keys.revoke(teamId("t2"), "k1", later(1))).rejects.toMatchObject(failing("not_found"));
      await expect(keys.revoke(teamId("t1"), "k2", later(1))).rejects.toMatchObject(failing("not_found"));
      const revoked = aKey("k1", { revokedAt: later(5) });
      expect(await keys.revoke(teamId("t1"), "k1", later(5))).toEqual(revoked);
      expect(await keys.revoke(teamId("t1"), "k1", later(9))).toEqual(revoked);
      expect(await keys.findByHash("hash of k1")).toEqual(revoked);
      expect(await keys.list(teamId("t1"))).toEqual([revoked]);
    });
  });

  describe("nodes", () => {
    it("are kept exactly, and listed by name", async () => {
      const { nodes } = subject.store;
      const node = aNode("n3", {
        name: "alpha",
        isCordoned: true,
        address: "",
        certificate: "",
        seenAt: later(3),
      });
      await nodes.insert(node);
      expect(await nodes.get(node.id)).toEqual(node);
      expect((await nodes.list()).map(({ name }) => name)).toEqual(["alpha", "node-n1", "node-n2"]);
    });

    it("have unique ids and names", async () => {
      const { nodes } = subject.store;
      await expect(nodes.insert(aNode("n1", { name: "x" }))).rejects.toMatchObject(failing("already_exists"));
      await expect(nodes.insert(aNode("x", { name: "node-n1" }))).rejects.toMatchObject(
        failing("already_exists", /node-n1/),
      );
    });

    it("change what is named, and nothing else", async () => {
      const { nodes } = subject.store;
      const moved = aNode("n1", { address: "10.0.0.9:1", seenAt: later(1) });
      expect(await nodes.update(nodeId("n1"), { address: "10.0.0.9:1", seenAt: later(1) })).toEqual(moved);
      const cordoned = { ...moved, isCordoned: true };
      expect(await nodes.update(nodeId("n1"), { isCordoned: true })).toEqual(cordoned);
      expect(await nodes.get(nodeId("n1"))).toEqual(cordoned);
      expect(await nodes.get(nodeId("n2"))).toEqual(aNode("n2"));
    });

    it("that are not there are not found", async () => {
      const { nodes } = subject.store;
      const x = nodeId("x");
      for (const call of [nodes.get(x), nodes.update(x, { isCordoned: true }), nodes.delete(x)])
        await expect(call).rejects.toMatchObject(failing("not_found"));
    });

    it("go only when nothing is recorded on them", async () => {
      const { nodes, sandboxes, catalogue } = subject.store;
      await sandboxes.insert([aSandbox("s1", { node: nodeId("n1") })]);
      await catalogue.insert(aSnapshot("p1", { node: nodeId("n2") }));
      for (const id of ["n1", "n2"])
        await expect(nodes.delete(nodeId(id))).rejects.toMatchObject(failing("failed_precondition"));
      await sandboxes.delete("s1");
      await nodes.delete(nodeId("n1"));
      expect((await nodes.list()).map(({ id }) => id)).toEqual(["n2"]);
    });
  });

  describe("join tokens", () => {
    it("are kept exactly and found by their hash", async () => {
      const { tokens } = subject.store;
      await tokens.insert(aToken("j1"));
      expect(await tokens.findByHash("hash of j1")).toEqual(aToken("j1"));
      expect(await tokens.findByHash("x")).toBeUndefined();
      for (const twin of [aToken("j1", { hash: "x" }), aToken("j2", { hash: "hash of j1" })])
        await expect(tokens.insert(twin)).rejects.toMatchObject(failing("already_exists"));
    });

    it("let one node join, whoever else comes at the same time", async () => {
      const { tokens, nodes } = subject.store;
      await tokens.insert(aToken("j1"));
      const joins = ["a", "b", "c"].map((id) => tokens.useFor("j1", aNode(id)));
      const settled = await Promise.allSettled(joins);
      expect(settled.filter(({ status }) => status === "fulfilled").length).toBe(1);
      for (const result of settled)
        if (result.status === "rejected") expect(result.reason).toMatchObject(failing("failed_precondition"));
      const { usedBy } = (await tokens.findByHash("hash of j1")) ?? {};
      expect((await nodes.list()).map(({ id }) => id)).toEqual([usedBy, "n1", "n2"]);
    });

    it("are not used up by a node that cannot join", async () => {
      const { tokens, nodes } = subject.store;
      await tokens.insert(aToken("j1"));
      const twin = aNode("x", { name: "node-n1" });
      await expect(tokens.useFor("j1", twin)).rejects.toMatchObject(failing("already_exists"));
      expect(await tokens.findByHash("hash of j1")).toEqual(aToken("j1"));
      await expect(tokens.useFor("j2", aNode("x"))).rejects.toMatchObject(failing("not_found"));
      expect((await nodes.list()).length).toBe(2);
    });

    it("stay used when their node is gone, and go when they have expired", async () => {
      const { tokens, nodes } = subject.store;
      await tokens.insert(aToken("j1", { expiresAt: later(10) }));
      await tokens.insert(aToken("j2", { expiresAt: later(11) }));
      await tokens.useFor("j1", aNode("x"));
      await nodes.delete(nodeId("x"));
      expect((await tokens.findByHash("hash of j1"))?.usedBy).toBe("x");
      expect(await tokens.removeExpired(later(11))).toBe(1);
      expect(await tokens.removeExpired(later(11))).toBe(0);
      expect(await tokens.findByHash("hash of j1")).toBeUndefined();
      expect(await tokens.findByHash("hash of j2")).toBeDefined();
    });
  });

  describe("pools", () => {
    const settings = (template: string, max: number): PoolSettings => ({
      template,
      min: 1,
      max,
      minAvailableRatio: 0.25,
      maxAvailableRatio: 1,
      memoryBytes: 2 ** 33,
      schedules: [
        { cron: "0 8 * * 1-5", timeZone: "Europe/Berlin", durationMs: 36_000_000, min: 5, max: 9 },
        { cron: "0 0 * * *", timeZone: "UTC", durationMs: 1, minAvailableRatio: 0, maxAvailableRatio: 0.5 },
      ],
    });

    it("are set, replaced, listed by template and removed", async () => {
      const { pools } = subject.store;
      const { memoryBytes: _, ...boundless } = settings("b", 3);
      await pools.set(settings("b", 2));
      await pools.set(settings("a", 1));
      await pools.set({ ...boundless, schedules: [] });
      expect(await pools.get("b")).toEqual({ ...boundless, schedules: [] });
      expect(await pools.list()).toEqual([settings("a", 1), { ...boundless, schedules: [] }]);
      await pools.remove("a");
      await pools.remove("a");
      expect(await pools.get("a")).toBeUndefined();
      expect((await pools.list()).length).toBe(1);
    });

    it("are remembered once they are removed, until they are forgotten or set again", async () => {
      const { pools } = subject.store;
      for (const template of ["a", "b", "c"]) await pools.set(settings(template, 1));
      for (const template of ["c", "a", "none"]) await pools.remove(template);
      expect(await pools.listRemoved()).toEqual(["a", "c"]);
      await pools.set(settings("c", 2));
      await pools.forget("c");
      expect(await pools.get("c")).toEqual(settings("c", 2));
      expect(await pools.listRemoved()).toEqual(["a"]);
      await pools.forget("a");
      expect(await pools.listRemoved()).toEqual([]);
    });
  });

  describe("the whole", () => {
    it("is kept over a restart", async () => {
      const { keys, tokens, pools, sandboxes, catalogue } = subject.store;
      const pool = {
        template: "p",
        min: 0,
        max: 1,
        minAvailableRatio: 0,
        maxAvailableRatio: 1,
        schedules: [],
      };
      const request = { team: teamId("t1"), key: "r", requestHash: "h", sandboxes: ["s1"], answeredAt: now };
      const snapshot = aSnapshot("p1", { name: "snap" });
      await Promise.all([
        keys.insert(aKey("k1")),
        tokens.insert(aToken("j1")),
        pools.set(pool),
        sandboxes.insert([aSandbox("s1")], request),
        catalogue.insert(snapshot),
      ]);
      const store = await subject.reopen();
      expect(await store.teams.list()).toEqual([aTeam("t1"), aTeam("t2")]);
      expect(await store.nodes.list()).toEqual([aNode("n1"), aNode("n2")]);
      expect(await store.keys.findByHash("hash of k1")).toEqual(aKey("k1"));
      expect(await store.tokens.findByHash("hash of j1")).toEqual(aToken("j1"));
      expect(await store.pools.list()).toEqual([pool]);
      expect(await store.sandboxes.get("s1")).toEqual(aSandbox("s1"));
      expect(await store.requests.find(teamId("t1"), "r")).toEqual(request);
      expect(await store.catalogue.findSnapshot(teamId("t1"), "snap")).toEqual(snapshot);
    });

    it("keeps what was asked for before it was closed, and says so afterwards", async () => {
      const { teams } = subject.store;
      const last = teams.insert(aTeam("last"));
      const { teams: reopened } = await subject.reopen();
      await last;
      expect(await reopened.get(teamId("last"))).toEqual(aTeam("last"));
      await expect(teams.list()).rejects.toMatchObject(failing("unavailable"));
      await expect(teams.insert(aTeam("more"))).rejects.toMatchObject(failing("unavailable"));
    });
  });
}
