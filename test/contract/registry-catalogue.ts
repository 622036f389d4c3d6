/** Templates, their names, and snapshots. */
import { describe, expect, it } from "vitest";
import { aSnapshot, aTemplate, failing, later, nodeId, teamId } from "./registry-records.js";
import type { Subject } from "./registry-store.js";

export function catalogueContract(subject: Subject): void {
  describe("templates", () => {
    it("are kept exactly, and found by id, name and alias", async () => {
      const { catalogue } = subject.store;
      const template = aTemplate("p1", { name: "python", aliases: ["py:v2", "base"] });
      await catalogue.insert(template);
      expect(await catalogue.get("p1")).toEqual(template);
      expect(await catalogue.find("p1")).toEqual(template);
      for (const name of ["python", "py:v2", "base"])
        expect(await catalogue.findTemplate(name), name).toEqual(template);
      for (const name of ["p1", "py", "PYTHON"])
        expect(await catalogue.findTemplate(name), name).toBeUndefined();
    });

    it("are listed oldest first", async () => {
      const { catalogue } = subject.store;
      const all = [aTemplate("b", { createdAt: later(1) }), aTemplate("c"), aTemplate("a")];
      for (const template of all) await catalogue.insert(template);
      expect((await catalogue.templates()).map(({ id }) => id)).toEqual(["a", "c", "b"]);
    });

    it("share no id, name or alias", async () => {
      const { catalogue } = subject.store;
      await catalogue.insert(aTemplate("p1", { name: "python", aliases: ["py"] }));
      const twins = [
        aTemplate("p1", { name: "x" }),
        aTemplate("p2", { name: "python" }),
        aTemplate("p2", { name: "py" }),
        aTemplate("p2", { name: "x", aliases: ["y", "python"] }),
        aTemplate("p2", { name: "x", aliases: ["py"] }),
        aSnapshot("p1"),
      ];
      for (const twin of twins)
        await expect(catalogue.insert(twin)).rejects.toMatchObject(failing("already_exists"));
      expect(await catalogue.findTemplate("y")).toBeUndefined();
      expect((await catalogue.templates()).length).toBe(1);
    });

    it("get other aliases, all or none", async () => {
      const { catalogue } = subject.store;
      await catalogue.insert(aTemplate("p1", { name: "python", aliases: ["a", "b"] }));
      await catalogue.insert(aTemplate("p2", { name: "other", aliases: ["taken"] }));
      const changed = aTemplate("p1", { name: "python", aliases: ["b", "c"] });
      // Its own name and what is said twice are no other names.
      expect(await catalogue.setAliases("p1", ["b", "c", "python", "b"])).toEqual(changed);
      for (const alias of ["taken", "other"])
        await expect(catalogue.setAliases("p1", ["d", alias])).rejects.toMatchObject(
          failing("already_exists", new RegExp(alias)),
        );
      expect(await catalogue.get("p1")).toEqual(changed);
      expect(await catalogue.findTemplate("a")).toBeUndefined();
      expect(await catalogue.findTemplate("d")).toBeUndefined();
      await expect(catalogue.setAliases("x", [])).rejects.toMatchObject(failing("not_found"));
    });

    it("give their names back when they go", async () => {
      const { catalogue } = subject.store;
      await catalogue.insert(aTemplate("p1", { name: "python", aliases: ["py"] }));
      for (let times = 0; times < 2; times++) await catalogue.delete("p1");
      await expect(catalogue.get("p1")).rejects.toMatchObject(failing("not_found", /p1/));
      await catalogue.insert(aTemplate("p2", { name: "py", aliases: ["python"] }));
      expect((await catalogue.findTemplate("python"))?.id).toBe("p2");
    });
  });

  describe("snapshots", () => {
    it("are kept exactly, and found by id and by the team's name for them", async () => {
      const { catalogue } = subject.store;
      const snapshot = aSnapshot("p1", { name: "snap" });
      await catalogue.insert(snapshot);
      await catalogue.insert(aSnapshot("p2"));
      await catalogue.insert(aSnapshot("p3", { team: teamId("t2"), name: "snap" }));
      expect(await catalogue.get("p1")).toEqual(snapshot);
      expect(await catalogue.get("p2")).toStrictEqual(aSnapshot("p2"));
      expect(await catalogue.findSnapshot(teamId("t1"), "snap")).toEqual(snapshot);
      expect((await catalogue.findSnapshot(teamId("t2"), "snap"))?.id).toBe("p3");
      expect(await catalogue.findSnapshot(teamId("t1"), "x")).toBeUndefined();
      expect(await catalogue.findTemplate("snap")).toBeUndefined();
      expect(await catalogue.templates()).toEqual([]);
    });

    it("have unique ids, over templates too, and names that are unique in a team", async () => {
      const { catalogue } = subject.store;
      await catalogue.insert(aTemplate("p1"));
      await catalogue.insert(aSnapshot("p2", { name: "snap" }));
      for (const twin of [aSnapshot("p1"), aSnapshot("p2"), aSnapshot("p3", { name: "snap" })])
        await expect(catalogue.insert(twin)).rejects.toMatchObject(failing("already_exists"));
      for (const twin of [aSnapshot("p1"), aSnapshot("p2")])
        await expect(catalogue.insertSnapshot(twin)).rejects.toMatchObject(failing("already_exists"));
      for (const over of [{ team: teamId("x") }, { node: nodeId("x") }])
        await expect(catalogue.insert(aSnapshot("p4", over))).rejects.toMatchObject(failing("not_found"));
    });

    it("take a name over in one step", async () => {
      const { catalogue } = subject.store;
      const first = aSnapshot("p1", { name: "snap" });
      await catalogue.insertSnapshot(first);
      await catalogue.insertSnapshot(aSnapshot("p2", { team: teamId("t2"), name: "snap" }));
      const refused = aSnapshot("p3", { name: "snap", node: nodeId("x") });
      await expect(catalogue.insertSnapshot(refused)).rejects.toMatchObject(failing("not_found"));
      expect(await catalogue.get("p1")).toEqual(first);
      await catalogue.insertSnapshot(aSnapshot("p3", { name: "snap" }));
      expect(await catalogue.get("p1")).toStrictEqual(aSnapshot("p1"));
      expect((await catalogue.findSnapshot(teamId("t1"), "snap"))?.id).toBe("p3");
      expect((await catalogue.findSnapshot(teamId("t2"), "snap"))?.id).toBe("p2");
    });

    it("are found by their node", async () => {
      const { catalogue } = subject.store;
      for (const id of ["p1", "p2"]) await catalogue.insert(aSnapshot(id));
      await catalogue.insert(aSnapshot("p3", { node: nodeId("n2"), team: teamId("t2") }));
      expect((await catalogue.ofNode(nodeId("n1"))).map(({ id }) => id).sort()).toEqual(["p1", "p2"]);
      expect((await catalogue.ofNode(nodeId("n2"))).map(({ id }) => id)).toEqual(["p3"]);
      expect(await catalogue.ofNode(nodeId("x"))).toEqual([]);
    });

    it("are listed newest first, by sandbox and name, in pages", async () => {
      const { catalogue } = subject.store;
      const team = teamId("t1");
      await Promise.all([
        catalogue.insert(aSnapshot("a", { createdAt: later(1), sandbox: "s2" })),
        catalogue.insert(aSnapshot("b", { createdAt: later(2), name: "snap" })),
        catalogue.insert(aSnapshot("c", { createdAt: later(1) })),
        catalogue.insert(aSnapshot("d", { createdAt: later(0) })),
        catalogue.insert(aSnapshot("e", { team: teamId("t2") })),
      ]);
      type Query = Parameters<typeof catalogue.snapshots>[0];
      const ids = async (query: Partial<Query>) =>
        (await catalogue.snapshots({ team, limit: 100, ...query })).map(({ id }) => id);
      expect(await ids({})).toEqual(["b", "a", "c", "d"]);
      expect(await ids({ sandbox: "s2" })).toEqual(["a"]);
      expect(await ids({ name: "snap" })).toEqual(["b"]);
      expect(await ids({ name: "snap", sandbox: "s2" })).toEqual([]);
      expect(await ids({ limit: 2 })).toEqual(["b", "a"]);
      await catalogue.delete("a");
      expect(await ids({ limit: 2, after: { createdAt: later(1), id: "a" } })).toEqual(["c", "d"]);
      await expect(ids({ limit: 0 })).rejects.toMatchObject(failing("invalid_argument"));
    });
  });
}
