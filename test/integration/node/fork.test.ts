import { describe, expect, it } from "vitest";
import type { ForkEvent, ForkOptions } from "../../../src/node/node.js";
import type { Sandbox } from "../../../src/sandbox/sandbox.js";
import { becomes, drain, openBox, soon } from "../../support/box.js";

const box = openBox("fork");

const forking = (ref: string, options: Partial<ForkOptions>, signal = soon()): AsyncIterable<ForkEvent> =>
  box.node.sandboxes.fork(ref, { count: 1, labels: {}, env: {}, ...options }, signal);

/** The only clone of each event; fails for one that failed. */
const clonesOf = (events: readonly ForkEvent[]): Sandbox[] =>
  events.flatMap((event) => (event.kind === "clone" && event.result.ok ? [event.result.sandbox] : []));

const running = () => box.node.sandboxes.list({ statuses: ["running"], labels: {} });

/** Counts in a file ten times a second, so that everybody can see it go on. */
async function startCounter(ref: string): Promise<void> {
  await box.start(ref, ["bash", "-c", "n=0; while :; do echo $((n+=1)) > /tmp/n; sleep 0.1; done"]);
  await becomes(`${ref} counts`, async () => (await countOf(ref)) > 0);
}

const countOf = async (ref: string) => Number(await box.sh(ref, "cat /tmp/n"));

async function countsOn(ref: string): Promise<void> {
  const first = await countOf(ref);
  await becomes(`${ref} counts on from ${first}`, async () => (await countOf(ref)) > first);
}

describe("fork", () => {
  it("gives one clone, and the source goes on", async () => {
    const { id } = await box.create();
    await startCounter(id);
    const [taken, clone, ...more] = await drain(forking(id, {}));
    expect(more).toEqual([]);
    expect(taken).toMatchObject({ kind: "taken", checkpoint: { kind: "fork", sandbox: id } });
    const freezeMs = taken?.kind === "taken" ? taken.checkpoint.freezeMs : 0;
    expect(freezeMs).toBeGreaterThan(1);
    expect(freezeMs).toBeLessThan(5_000);
    expect(clone).toMatchObject({ kind: "clone", index: 0, result: { ok: true } });
    const [sandbox] = clonesOf(clone === undefined ? [] : [clone]);
    expect(sandbox).toMatchObject({ origin: { kind: "fork", source: id }, state: { status: "running" } });
    await countsOn(id);
    await countsOn(sandbox?.id ?? "");
  });

  it("gives eight clones, each with an identity of its own", async () => {
    const { id } = await box.create({ env: { KEPT: "1", CHANGED: "before" } });
    await startCounter(id);
    const events = await drain(
      forking(id, { count: 8, namePrefix: "c", labels: { job: "x" }, env: { CHANGED: "after" } }),
    );
    const clones = clonesOf(events);
    expect(clones.map(({ name }) => name).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `c-${n}`));
    for (const event of events) if (event.kind === "clone") expect(event.durationMs).toBeGreaterThan(1);
    const facts = await Promise.all(
      [id, ...clones.map((clone) => clone.id)].map((ref) =>
        box.sh(ref, "hostname; cat /etc/machine-id /.ramet/generation; echo $KEPT $CHANGED"),
      ),
    );
    const [source, ...others] = facts.map((text) => text.split("\n"));
    expect(source?.slice(2)).toEqual(["2", "1 before"]);
    for (const [index, [hostname, , ...rest]] of others.entries()) {
      expect(hostname).toBe(clones[index]?.id);
      expect(rest).toEqual(["3", "1 after"]);
    }
    expect(new Set(facts.map((text) => text.split("\n")[1])).size).toBe(9);
    expect((await box.node.sandboxes.list({ statuses: [], labels: { job: "x" } })).length).toBe(8);
    for (const { id: ref } of clones) await countsOn(ref);
  });

  it("gives clones random numbers of their own", async () => {
    const { id } = await box.create();
    const script = "import os, sys\nfor _ in sys.stdin: print(os.urandom(8).hex(), flush=True)";
    const pid = await box.start(id, ["python3", "-c", script], { stdin: true, tag: "random" });
    const [one, two] = await box.fork(id, { count: 2 });
    const drawn = await Promise.all(
      [id, one?.id ?? "", two?.id ?? ""].map(async (ref) => {
        await box.node.processes.write(ref, pid, Buffer.from("\n"), { eof: true }, soon());
        let out = "";
        async function* silent() {}
        for await (const event of box.node.processes.attach(ref, { pid }, { afterSeq: 0 }, silent(), soon()))
          if (event.kind === "output") out += Buffer.from(event.data).toString();
        return out;
      }),
    );
    expect(new Set(drawn).size).toBe(3);
  });

  it("lets no clone see another's files", async () => {
    const { id } = await box.create();
    await box.sh(id, "echo source > /root/f");
    const [one, two] = await box.fork(id, { count: 2 });
    await box.sh(one?.id ?? "", "echo one > /root/f");
    await box.sh(id, "rm /root/f");
    expect(await box.sh(two?.id ?? "", "cat /root/f")).toBe("source");
  });

  it("goes on when one clone fails", async () => {
    const { id } = await box.create();
    const events: ForkEvent[] = [];
    const stream = forking(id, { count: 3, namePrefix: "w" });
    for await (const event of stream) {
      events.push(event);
      // After the names were looked at, and most likely before the last clone takes its own.
      if (event.kind === "taken") await box.create({ name: "w-3" }).catch(() => {});
    }
    const clones = events.filter((event) => event.kind === "clone");
    expect(clones.length).toBe(3);
    for (const { index, result } of clones) {
      if (result.ok) expect(result.sandbox.name).toBe(`w-${index + 1}`);
      else expect(result.error).toMatchObject({ code: "already_exists" });
    }
    expect(clonesOf(events).length).toBeGreaterThanOrEqual(2);
  });

  it("lets a clone be deleted that is being made, once it is there", async () => {
    const { id } = await box.create();
    const forked = drain(forking(id, { count: 3 }));
    const making = () => box.node.sandboxes.list({ statuses: ["creating"], labels: {} });
    await becomes("a clone is being made", async () => (await making()).length > 0);
    const [first] = await making();
    await box.node.sandboxes.delete(first?.id ?? "", { force: true }, soon());
    const clones = clonesOf(await forked).map((clone) => clone.id);
    expect(clones).toHaveLength(3);
    const left = (await running()).map((sandbox) => sandbox.id);
    expect(left.sort()).toEqual([id, ...clones.filter((clone) => clone !== first?.id)].sort());
  });

  it("refuses a name that is taken before anything is frozen", async () => {
    const { id } = await box.create();
    await box.create({ name: "x-2" });
    await expect(drain(forking(id, { count: 2, namePrefix: "x" }))).rejects.toMatchObject({
      code: "already_exists",
      message: "a sandbox is called x-2 already",
    });
    expect(await box.events("sandbox.forked", id)).toEqual([]);
  });

  it.each([0, 1001, Number.NaN, 1.5, -1])("refuses a count of %s", async (count) => {
    const { id } = await box.create();
    await expect(drain(forking(id, { count }))).rejects.toMatchObject({ code: "invalid_argument" });
  });

  it("refuses what does not run, and says what it is", async () => {
    const { id } = await box.create();
    await box.node.sandboxes.pause(id, soon());
    await expect(drain(forking(id, {}))).rejects.toMatchObject({
      code: "failed_precondition",
      message: `cannot fork sandbox ${id}: it is paused, not running`,
    });
    await box.node.sandboxes.stop(id, { graceMs: 0 }, soon());
    await expect(drain(forking(id, {}))).rejects.toMatchObject({
      code: "failed_precondition",
      message: `cannot fork sandbox ${id}: it is stopped, not running`,
    });
    await expect(drain(forking("nobody", {}))).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("a fork that is given up", () => {
  it("leaves the clones that were reported and no others, when its reader leaves", async () => {
    const { id } = await box.create();
    const reported: string[] = [];
    for await (const event of forking(id, { count: 30 })) {
      if (event.kind !== "clone" || !event.result.ok) continue;
      reported.push(event.result.sandbox.id);
      break;
    }
    const ids = (await running()).map((sandbox) => sandbox.id);
    expect(ids.sort()).toEqual([id, ...reported].sort());
    for (const ref of ids) expect(await box.sh(ref, "echo $((1+1))")).toBe("2");
  });

  it("leaves nothing when it is aborted while clones are made that nobody reads", async () => {
    const { id } = await box.create();
    const before = await box.holdings();
    const abort = new AbortController();
    const events = forking(id, { count: 12 }, abort.signal)[Symbol.asyncIterator]();
    await events.next();
    await becomes("some are there", async () => (await running()).length >= 4);
    abort.abort();
    await events.return?.();
    await box.expectNoLeak(before);
  });

  it("leaves nothing when it is aborted before the first clone", async () => {
    const { id } = await box.create();
    const before = await box.holdings();
    const abort = new AbortController();
    const forked = (async () => {
      for await (const event of forking(id, { count: 30 }, abort.signal))
        if (event.kind === "taken") abort.abort();
    })();
    await expect(forked).rejects.toThrow();
    await box.expectNoLeak(before);
    expect(await box.sh(id, "echo on")).toBe("on");
  });

  it("leaves nothing when it is aborted before the dump", async () => {
    const { id } = await box.create();
    const before = await box.holdings();
    await expect(drain(forking(id, {}, AbortSignal.abort()))).rejects.toThrow();
    await box.expectNoLeak(before);
    expect(await box.sh(id, "echo on")).toBe("on");
  });
});

describe("the checkpoint of a fork", () => {
  it("goes with the last clone that stands on it", async () => {
    const { id } = await box.create();
    const [one, two] = await box.fork(id, { count: 2 });
    const forks = async () =>
      (await box.node.checkpoints.list({ all: true })).map(({ checkpoint }) => checkpoint.kind);
    expect(await forks()).toEqual(["fork", "golden"]);
    await box.node.sandboxes.delete(id, { force: true }, soon());
    await box.node.sandboxes.delete(one?.id ?? "", { force: true }, soon());
    expect(await forks()).toEqual(["fork", "golden"]);
    expect(await box.sh(two?.id ?? "", "echo on")).toBe("on");
    await box.node.sandboxes.delete(two?.id ?? "", { force: true }, soon());
    expect(await forks()).toEqual(["golden"]);
  });

  it("cannot be removed or restored by hand", async () => {
    const { id } = await box.create();
    await box.fork(id);
    const fork = (await box.node.checkpoints.list({ all: true })).find(
      ({ checkpoint }) => checkpoint.kind === "fork",
    );
    const ref = fork?.checkpoint.id ?? "";
    await expect(box.node.checkpoints.delete(ref, soon())).rejects.toMatchObject({
      code: "failed_precondition",
    });
    const source = { kind: "checkpoint", checkpoint: ref } as const;
    await expect(box.node.sandboxes.create({ source, labels: {}, env: {} }, soon())).rejects.toMatchObject({
      code: "failed_precondition",
    });
  });
});

describe("keep", () => {
  it("deletes the other clones and leaves the source", async () => {
    const { id: source } = await box.create({ name: "search" });
    const clones = await box.fork(source, { count: 3 });
    const others = await box.fork(source, { count: 1 });
    const [winner, ...losers] = clones.map(({ id }) => id);
    await box.node.sandboxes.pause(losers[0] ?? "", soon());
    const kept = await box.node.sandboxes.keep(winner ?? "", { replaceSource: false }, soon());
    expect(kept.sandbox.id).toBe(winner);
    expect([...kept.dropped].sort()).toEqual([...losers].sort());
    const left = (await running()).map(({ id }) => id).sort();
    expect(left).toEqual([source, winner ?? "", ...others.map(({ id }) => id)].sort());
  });

  it("takes over the source's name, with its memory, and may be repeated", async () => {
    const { id: source } = await box.create({ name: "search" });
    await startCounter(source);
    const [winner] = await box.fork(source, { count: 2 });
    const ref = winner?.id ?? "";
    const { sandbox, dropped } = await box.node.sandboxes.keep(ref, { replaceSource: true }, soon());
    expect(sandbox).toMatchObject({ id: ref, name: "search" });
    expect(dropped).toHaveLength(2);
    await countsOn("search");
    expect(await box.node.sandboxes.keep("search", { replaceSource: true }, soon())).toMatchObject({
      sandbox: { name: "search" },
      dropped: [],
    });
  });

  it("deletes clones too that are made after it is called", async () => {
    const { id: source } = await box.create({ name: "search" });
    let keeping: ReturnType<typeof box.node.sandboxes.keep> | undefined;
    for await (const event of forking(source, { count: 20 })) {
      const [first] = clonesOf([event]);
      if (first !== undefined) keeping ??= box.node.sandboxes.keep(first.id, { replaceSource: true }, soon());
    }
    const kept = await keeping;
    expect(kept?.dropped).toHaveLength(20);
    expect(await running()).toMatchObject([{ id: kept?.sandbox.id, name: "search" }]);
  });

  it("counts a clone that was rolled back since", async () => {
    const { id: source } = await box.create();
    const [winner = source, loser = source] = (await box.fork(source, { count: 2 })).map(({ id }) => id);
    const keep = () => box.node.sandboxes.keep(winner, { replaceSource: false }, soon());
    for (const id of [winner, loser, loser]) {
      const checkpoint = await box.node.checkpoints.create(id, {}, soon());
      await box.node.sandboxes.rollBack(id, { checkpoint: checkpoint.id }, soon());
    }
    expect((await keep()).dropped).toEqual([loser]);
    for (const { checkpoint } of await box.node.checkpoints.list({ all: false }))
      await box.node.checkpoints.delete(checkpoint.id, soon()).catch(() => {});
  });

  it("says so when a clone cannot be deleted, and deletes it when it is called again", async () => {
    const { id: source } = await box.create();
    const [winner = source, loser = source] = (await box.fork(source, { count: 2 })).map(({ id }) => id);
    const keep = () => box.node.sandboxes.keep(winner, { replaceSource: false }, soon());
    await box.test.restart(undefined, "delete.recorded=error");
    await expect(keep()).rejects.toMatchObject({ code: "internal" });
    await box.test.restart();
    // The start may have finished what the call began.
    await keep();
    await expect(box.node.sandboxes.get(loser)).rejects.toMatchObject({ code: "not_found" });
    expect(await box.sh(winner, "echo on")).toBe("on");
  });

  it("refuses what is no clone", async () => {
    const { id } = await box.create();
    await expect(box.node.sandboxes.keep(id, { replaceSource: false }, soon())).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("no clone of a fork"),
    });
  });
});
