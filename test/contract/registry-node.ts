/** What a registry counts on of a node: real ones and those that exist in memory alone are held to it. */
import { describe, expect, it } from "vitest";
import { waitUntil } from "../../src/lib/signal.js";
import type { ForkEvent, Node, NodeEvent } from "../../src/node/node.js";

/** The node has the template `base`, and nothing else; what a test leaves is removed after it. */
export function registryNodeContract(name: string, nodeOf: () => Node): void {
  const soon = () => AbortSignal.timeout(30_000);
  const create = (over: { template?: string; signal?: AbortSignal } = {}) =>
    nodeOf().sandboxes.create(
      {
        source: { kind: "template", template: over.template ?? "base" },
        labels: { "registry.request": "r1" },
        env: { KEY: "value" },
      },
      over.signal ?? soon(),
    );
  const sandboxes = () => nodeOf().sandboxes;
  const list = () => sandboxes().list({ statuses: [], labels: {} });
  const until = (what: string, holds: () => boolean | Promise<boolean>) =>
    waitUntil(what, holds, { intervalMs: 20, timeoutMs: 30_000 });

  describe(`${name}, as a node of a registry,`, () => {
    it("makes what was asked for, each with an id of its own, and forgets what is deleted", async () => {
      const [{ id }, other] = await Promise.all([create(), create()]);
      expect(id).toMatch(/^[a-z0-9]{20}$/);
      expect(other.id).not.toBe(id);
      expect(await sandboxes().get(id)).toMatchObject({
        ...{ id, labels: { "registry.request": "r1" }, state: { status: "running" } },
        spec: { env: { KEY: "value" } },
      });
      expect((await list()).map((sandbox) => sandbox.id).sort()).toEqual([id, other.id].sort());
      expect((await sandboxes().stats(id, soon())).readAt).toBeInstanceOf(Date);
      const readings = await sandboxes().listStats([id, "nobody", other.id], soon());
      expect([...readings.keys()].sort()).toEqual([id, other.id].sort());
      await sandboxes().delete(id, { force: true }, soon());
      for (const gone of [sandboxes().get(id), sandboxes().delete(id, { force: true }, soon())])
        await expect(gone).rejects.toMatchObject({ code: "not_found" });
      expect((await list()).map((sandbox) => sandbox.id)).toEqual([other.id]);
    });

    it("refuses a template that it does not have", async () => {
      await expect(create({ template: "nothing" })).rejects.toMatchObject({ code: "not_found" });
    });

    it("leaves nothing of a create that was given up before it began", async () => {
      await expect(create({ signal: AbortSignal.abort(new Error("gone")) })).rejects.toThrow();
      expect(await list()).toEqual([]);
    });

    it("says what has become of a sandbox, to whoever follows", async () => {
      const ending = new AbortController();
      const told: NodeEvent[] = [];
      const following = (async () => {
        for await (const event of nodeOf().events({ sinceId: "now", follow: true }, ending.signal))
          told.push(event);
      })().catch(() => {});
      // It follows from its first step on, which nothing tells of.
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { id } = await create();
      await until("told of the create", () => told.some(({ sandbox }) => sandbox === id));
      const before = told.length;
      await sandboxes().delete(id, { force: true }, soon());
      await until("told of the delete", () => told.slice(before).some(({ sandbox }) => sandbox === id));
      ending.abort(new Error("enough"));
      await following;
    });

    it("pauses what runs and resumes what is paused, and refuses the other way round", async () => {
      const { id } = await create();
      await expect(sandboxes().resume(id, soon())).rejects.toMatchObject({ code: "failed_precondition" });
      await sandboxes().pause(id, soon());
      expect((await sandboxes().get(id)).state.status).toBe("paused");
      await expect(sandboxes().pause(id, soon())).rejects.toMatchObject({ code: "failed_precondition" });
      await sandboxes().resume(id, soon());
      expect((await sandboxes().get(id)).state.status).toBe("running");
    });

    it("forks: the checkpoint first, then each clone, and the source runs on", async () => {
      const { id } = await create();
      const events: ForkEvent[] = [];
      const options = { count: 2, labels: { "registry.request": "r2" }, env: {} };
      for await (const event of sandboxes().fork(id, options, soon())) events.push(event);
      expect(events.map(({ kind }) => kind)).toEqual(["taken", "clone", "clone"]);
      const clones = events.flatMap((event) =>
        event.kind === "clone" && event.result.ok ? [event.result.sandbox] : [],
      );
      expect(clones.map(({ labels }) => labels)).toEqual([options.labels, options.labels]);
      expect(new Set([id, ...clones.map((clone) => clone.id)]).size).toBe(3);
      expect((await list()).map(({ state }) => state.status)).toEqual(["running", "running", "running"]);
    });

    it("leaves no clone of a fork that was given up", async () => {
      const { id } = await create();
      const giveUp = new AbortController();
      const forking = (async () => {
        const options = { count: 3, labels: {}, env: {} };
        for await (const _ of sandboxes().fork(id, options, giveUp.signal)) giveUp.abort(new Error("gone"));
      })();
      await expect(forking).rejects.toThrow();
      await until("no clone", async () => (await list()).length === 1);
    });

    it("keeps warm slots, which are nobody's until a create takes one", async () => {
      const { templates } = nodeOf();
      await templates.setSlots("base", { min: 1, max: 1 });
      const ready = async () => (await templates.list())[0]?.slots.ready === 1;
      await until("a slot", ready);
      expect(await list()).toEqual([]);
      expect((await create()).isWarm).toBe(true);
      const [view] = await templates.list();
      expect(view?.template.state).toMatchObject({
        ...{ status: "ready", checkpoint: expect.stringMatching(/^[a-z0-9]{20}$/) },
      });
      await until("the next one", ready);
      await templates.setSlots("base", { min: 0, max: 0 });
    });
  });
}
