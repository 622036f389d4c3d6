/** Lists of sandboxes: order, filters, pages. */
import { describe, expect, it } from "vitest";
import type { OwnedSandbox } from "../../src/fleet/sandbox.js";
import type { OwnedSandboxes, SandboxQuery } from "../../src/registry-store/registry-store.js";
import { aQuery, aSandbox, failing, later, teamId } from "./registry-records.js";
import type { Subject } from "./registry-store.js";

/** Page after page, to the end; `between` runs after each. */
async function pages(
  sandboxes: OwnedSandboxes,
  query: SandboxQuery,
  between: (page: readonly OwnedSandbox[]) => Promise<unknown> = async () => {},
): Promise<string[][]> {
  const all: string[][] = [];
  for (let next: SandboxQuery | undefined = query; next !== undefined; ) {
    const page = await sandboxes.list(next);
    const last = page.at(-1);
    if (last === undefined) break;
    all.push(page.map(({ id }) => id));
    next = { ...query, after: { startedAt: last.startedAt, id: last.id } };
    await between(page);
  }
  return all;
}

export function sandboxListContract(subject: Subject): void {
  const ids = async (over: Partial<SandboxQuery>) =>
    (await subject.store.sandboxes.list(aQuery(over))).map(({ id }) => id);

  describe("lists of sandboxes", () => {
    it("are by start, equal ones by id, in both orders, and of one team", async () => {
      const { sandboxes } = subject.store;
      await sandboxes.insert([
        aSandbox("b", { startedAt: later(1) }),
        aSandbox("d", { startedAt: later(2) }),
        aSandbox("c", { startedAt: later(1) }),
        aSandbox("a", { startedAt: later(0) }),
        aSandbox("foreign", { team: teamId("t2"), startedAt: later(1) }),
      ]);
      expect(await ids({ order: "newest" })).toEqual(["d", "b", "c", "a"]);
      expect(await ids({ order: "oldest" })).toEqual(["a", "b", "c", "d"]);
      expect(await ids({ team: teamId("t2") })).toEqual(["foreign"]);
      expect(await ids({ team: teamId("x") })).toEqual([]);
      expect((await sandboxes.list(aQuery({ limit: 1 })))[0]).toEqual(aSandbox("d", { startedAt: later(2) }));
    });

    it("know the states that people see", async () => {
      const { sandboxes } = subject.store;
      await sandboxes.insert([
        aSandbox("running"),
        aSandbox("pausing", { state: { status: "pausing" } }),
        aSandbox("paused", { state: { status: "paused", keepsMemory: true } }),
        aSandbox("resuming", { state: { status: "resuming", keepsMemory: true } }),
        aSandbox("killing", { state: { status: "killing" } }),
        aSandbox("lost", { state: { status: "lost", lastSeenAt: later(0), wasPaused: false } }),
      ]);
      expect(await ids({ states: [] })).toEqual(["lost", "paused", "pausing", "resuming", "running"]);
      expect(await ids({ states: ["running"] })).toEqual(["pausing", "resuming", "running"]);
      expect(await ids({ states: ["paused"] })).toEqual(["paused"]);
      expect(await ids({ states: ["lost", "paused"] })).toEqual(["lost", "paused"]);
    });

    it("start where they are asked to, to the millisecond and inclusive", async () => {
      const at = [-1, 0, 1].map((ms) => aSandbox(`at ${ms}`, { startedAt: later(ms) }));
      await subject.store.sandboxes.insert(at);
      expect(await ids({ startedAfter: later(0) })).toEqual(["at 1", "at 0"]);
      expect(await ids({ startedAfter: later(0), order: "oldest" })).toEqual(["at 0", "at 1"]);
    });

    it("filter by template and by metadata, exactly", async () => {
      const metadata: ReadonlyArray<Readonly<Record<string, string>>> = [
        { a: "1", b: "2" },
        { a: "1" },
        { a: "1 " },
        { A: "1" },
        { a: "", "a.b": "x", 'q"': "ü🦀", "n\u0000l": "n\u0000l" },
        {},
        { x: '"a":"1"', 'x,"a': "1" },
        { constructor: "1" },
      ];
      await subject.store.sandboxes.insert(
        metadata.map((it, n) => aSandbox(`m${n}`, { metadata: it, template: n < 2 ? "t" : "base" })),
      );
      expect(await ids({ metadata: { a: "1" } })).toEqual(["m0", "m1"]);
      expect(await ids({ metadata: { b: "2", a: "1" } })).toEqual(["m0"]);
      expect(await ids({ metadata: { a: "1", b: "1" } })).toEqual([]);
      for (const [key, value] of Object.entries(metadata[4] ?? {}))
        expect(await ids({ metadata: { [key]: value } }), key).toEqual(["m4"]);
      expect(await ids({ metadata: { toString: "1" } })).toEqual([]);
      expect(await ids({ metadata: { constructor: "1" } })).toEqual(["m7"]);
      expect(await ids({ template: "t" })).toEqual(["m0", "m1"]);
      expect(await ids({ template: "t", metadata: { b: "2" } })).toEqual(["m0"]);
      expect(await ids({ template: "nothing" })).toEqual([]);
    });

    it.each(["newest", "oldest"] as const)("are read in pages, %s first", async (order) => {
      const { sandboxes } = subject.store;
      const some = Array.from({ length: 25 }, (_, n) =>
        aSandbox(`s${String(n).padStart(2, "0")}`, {
          startedAt: later(Math.floor(n / 10)),
          metadata: n % 2 === 0 ? { even: "yes" } : {},
        }),
      );
      await sandboxes.insert(some);
      const whole = await ids({ order });
      expect(await pages(sandboxes, aQuery({ order, limit: 7 }))).toEqual([
        whole.slice(0, 7),
        whole.slice(7, 14),
        whole.slice(14, 21),
        whole.slice(21),
      ]);
      const even = whole.filter((id) => Number(id.slice(1)) % 2 === 0);
      const metadata = { even: "yes" };
      expect((await pages(sandboxes, aQuery({ order, metadata, limit: 4 }))).flat()).toEqual(even);
    });

    it("find what is rare among very many", async () => {
      const { sandboxes } = subject.store;
      const many = Array.from({ length: 3500 }, (_, n) =>
        aSandbox(`s${String(n).padStart(5, "0")}`, { metadata: { third: String(n % 1200) } }),
      );
      await sandboxes.insert(many);
      const metadata = { third: "7" };
      expect(await ids({ metadata })).toEqual(["s00007", "s01207", "s02407"]);
      expect(await pages(sandboxes, aQuery({ metadata, limit: 1 }))).toEqual([
        ["s00007"],
        ["s01207"],
        ["s02407"],
      ]);
    });

    it("stay stable over pages while rows come and go", async () => {
      const { sandboxes } = subject.store;
      const name = (n: number) => `s${String(n).padStart(3, "0")}`;
      const some = Array.from({ length: 60 }, (_, n) => aSandbox(name(n), { startedAt: later(n) }));
      await sandboxes.insert(some);
      let round = 0;
      const read = await pages(sandboxes, aQuery({ limit: 10 }), async (page) => {
        round += 1;
        // What was read last goes, another page ahead loses one, and newer ones come.
        await sandboxes.delete(page.at(-1)?.id ?? "");
        await sandboxes.delete(name(5));
        await sandboxes.insert([aSandbox(`new ${round}`, { startedAt: later(1000 + round) })]);
        await sandboxes.update(name(25), (it) => ({ ...it, endAt: later(round) }));
      });
      const expected = some.map(({ id }) => id).filter((id) => id !== name(5));
      expect(read.flat()).toEqual(expected.reverse());
    });

    it("have a bound", async () => {
      const { sandboxes } = subject.store;
      for (const limit of [0, -1, 1001, 1.5, Number.NaN])
        await expect(sandboxes.list(aQuery({ limit }))).rejects.toMatchObject(failing("invalid_argument"));
    });
  });
}
