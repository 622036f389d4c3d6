import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { describeDependent } from "../checkpoint/checkpoint.js";
import { parseSandboxId, type Sandbox, type SandboxSpec } from "../sandbox/sandbox.js";
import type { SandboxState } from "../sandbox/state.js";
import { noSlots, type Template } from "../template/template.js";
import { eventsMax } from "./events.js";
import { openStore, type Store } from "./open-store.js";

const now = new Date("2026-01-02T03:04:05.678Z");
const id = (text: string) => parseSandboxId(text.padEnd(20, "0"));
const spec: SandboxSpec = {
  image: "debian:12",
  env: { A: "1" },
  user: "",
  cwd: "/",
  limits: { cpus: 0.5, memoryBytes: 2 ** 40 },
  allowPrivilegeEscalation: false,
  guestVersion: "g1",
};
const states: SandboxState[] = [
  { status: "creating", since: now },
  { status: "running", since: now, pid: 42, pidStart: "b-1" },
  { status: "checkpointing", since: now, pid: 42, pidStart: "b-1" },
  { status: "pausing", since: now, pid: 42, pidStart: "b-1" },
  { status: "paused", since: now, checkpoint: id("c") },
  { status: "resuming", since: now, checkpoint: id("c") },
  { status: "stopping", since: now },
  { status: "stopped", since: now, exitCode: 137 },
  { status: "failed", since: now, reason: "no" },
];
const running = states[1] as SandboxState;
const sandbox = (name: string, over: Partial<Sandbox> = {}): Sandbox => ({
  id: id(name),
  name,
  spec,
  origin: { kind: "image", image: "debian:12" },
  labels: {},
  generation: 0,
  snapshotKey: `sandbox-${name}`,
  createdAt: now,
  isSlot: false,
  state: running,
  ...over,
});
const checkpoint = (name: string, over: Partial<Checkpoint> = {}): Checkpoint => ({
  id: id(name),
  kind: "user",
  sandbox: id("s"),
  spec,
  generation: 1,
  snapshotKey: `checkpoint-${name}`,
  memoryBytes: 5_000_000_000,
  inheritedBytes: 0,
  layerBytes: 7,
  freezeMs: 12.5,
  createdAt: now,
  ...over,
});
const template = (name: string, over: Partial<Template> = {}): Template => ({
  spec: { name, image: "i", readyTimeoutMs: 1, env: {}, limits: {}, allowPrivilegeEscalation: true },
  slots: noSlots,
  createdAt: now,
  state: { status: "building", since: now },
  ...over,
});

let store: Store;
beforeEach(() => {
  store = openStore(":memory:");
});
afterEach(() => store.close());

describe("sandboxes", () => {
  it.each(states)("keeps a sandbox that is $status exactly", (state) => {
    const kept = sandbox("abc", { state, labels: { a: "b" } });
    store.sandboxes.insert(kept);
    expect(store.sandboxes.get(kept.id)).toEqual(kept);
  });

  it.each<Sandbox["origin"]>([
    { kind: "image", image: "x" },
    { kind: "template", template: "t", checkpoint: id("c") },
    { kind: "checkpoint", checkpoint: id("c") },
    { kind: "fork", source: id("s"), checkpoint: id("c") },
  ])("keeps the origin $kind", (origin) => {
    store.sandboxes.insert(sandbox("abc", { origin }));
    expect(store.sandboxes.get(id("abc")).origin).toEqual(origin);
  });

  it("changes by a function, within a transaction", () => {
    store.sandboxes.insert(sandbox("abc"));
    const changed = store.sandboxes.update(id("abc"), (s) => ({ ...s, generation: s.generation + 1 }));
    expect(changed.generation).toBe(1);
    expect(store.sandboxes.get(id("abc"))).toEqual(changed);
    const failing = () =>
      store.sandboxes.update(id("abc"), () => {
        throw new Error("no");
      });
    expect(failing).toThrow("no");
    expect(() => store.sandboxes.update(id("zzz"), (s) => s)).toThrow(/no sandbox/);
  });

  it("lets several sandboxes be nameless, but no two have one name", () => {
    const { name: _, ...nameless } = sandbox("a");
    store.sandboxes.insert(nameless);
    store.sandboxes.insert({ ...nameless, id: id("b") });
    store.sandboxes.insert(sandbox("c", { name: "x" }));
    const second = () => store.sandboxes.insert(sandbox("d", { name: "x" }));
    expect(second).toThrow(
      expect.objectContaining({ code: "already_exists", message: "sandbox x: the name is taken" }),
    );
  });

  it.each([
    { ref: id("abcd1"), finds: "abcd1" },
    { ref: "abcd1", finds: "abcd1" },
    { ref: "abcd2", finds: "abcd2" },
    { ref: "abcd", fails: "invalid_argument" },
    { ref: "abc", fails: "not_found" },
    { ref: "abce", finds: "other", why: "a name before a prefix" },
    { ref: "web.1", finds: "abcd2" },
    { ref: "", fails: "not_found" },
    { ref: "%%%%", fails: "not_found" },
  ])("finds $ref: $finds$fails", ({ ref, finds, fails }) => {
    store.sandboxes.insert(sandbox("abcd1", { name: "web.0" }));
    store.sandboxes.insert(sandbox("abcd2", { name: "web.1" }));
    store.sandboxes.insert(sandbox("abce1", { name: "web.2" }));
    store.sandboxes.insert(sandbox("other", { name: "abce" }));
    if (finds !== undefined) expect(store.sandboxes.find(ref).id).toBe(id(finds));
    else expect(() => store.sandboxes.find(ref)).toThrow(expect.objectContaining({ code: fails }));
  });

  it("lists newest first, by status and labels", () => {
    const at = (day: number) => new Date(Date.UTC(2026, 0, day));
    store.sandboxes.insert(sandbox("a", { createdAt: at(1), labels: { team: "x", tier: "1" } }));
    store.sandboxes.insert(sandbox("b", { createdAt: at(3), labels: { team: "x" } }));
    store.sandboxes.insert(sandbox("c", { createdAt: at(2), state: { status: "stopping", since: now } }));
    const names = (filter = {}) => store.sandboxes.list(filter).map((s) => s.name);
    expect(names()).toEqual(["b", "c", "a"]);
    expect(names({ statuses: ["running"] })).toEqual(["b", "a"]);
    expect(names({ labels: { team: "x", tier: "1" } })).toEqual(["a"]);
    expect(names({ statuses: [], labels: { team: "y" } })).toEqual([]);
    expect(store.sandboxes.count(["running"])).toBe(2);
    expect(store.sandboxes.count(["running", "stopping", "paused"])).toBe(3);
    expect(store.sandboxes.count([])).toBe(0);
  });

  it("forgets, also twice", () => {
    store.sandboxes.insert(sandbox("a"));
    store.sandboxes.delete(id("a"));
    store.sandboxes.delete(id("a"));
    expect(store.sandboxes.peek(id("a"))).toBeUndefined();
  });
});

describe("soon", () => {
  it("does what comes together in order, and takes back only what throws", async () => {
    const results = await Promise.allSettled([
      store.soon((tx) => tx.sandboxes.insert(sandbox("a"))),
      store.soon((tx) => {
        tx.sandboxes.insert(sandbox("b"));
        throw new Error("no");
      }),
      store.soon((tx) => {
        tx.sandboxes.insert(sandbox("c"));
        return tx.sandboxes.list().length;
      }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(results[2]).toMatchObject({ value: 2 });
    expect(store.sandboxes.peek(id("b"))).toBeUndefined();
  });
});

describe("warm slots", () => {
  it("are not found and not listed but where they are asked for", () => {
    store.sandboxes.insert(sandbox("a"));
    const { name: _, ...slot } = sandbox("b", { isSlot: true });
    store.sandboxes.insert(slot);
    for (const ref of [slot.id, slot.id.slice(0, -1)])
      expect(() => store.sandboxes.find(ref)).toThrow(/no sandbox/);
    const ids = (slots?: "only" | "too") =>
      store.sandboxes.list(slots === undefined ? {} : { slots }).map((it) => it.id);
    expect(ids()).toEqual([id("a")]);
    expect(ids("only")).toEqual([id("b")]);
    expect(ids("too")).toHaveLength(2);
    expect(store.sandboxes.count(["running"])).toBe(1);
    expect(store.sandboxes.get(slot.id)).toEqual(slot);
  });
});

describe("transact", () => {
  it("does all or nothing, nested too", () => {
    const work = () =>
      store.transact((tx) => {
        tx.sandboxes.insert(sandbox("a"));
        store.transact((inner) => inner.sandboxes.update(id("a"), (s) => ({ ...s, name: "b" })));
        tx.sandboxes.insert(sandbox("a"));
      });
    expect(work).toThrow(expect.objectContaining({ code: "already_exists" }));
    expect(store.sandboxes.list()).toEqual([]);
  });
});

describe("templates", () => {
  it("keeps, changes, lists by name and forgets", () => {
    const full = template("b", {
      spec: { ...template("b").spec, startCommand: "sh", readyCommand: "true", user: "u", cwd: "/" },
      state: { status: "ready", since: now, checkpoint: id("c") },
    });
    store.templates.insert(full);
    store.templates.insert(template("a"));
    expect(store.templates.get("b")).toEqual(full);
    expect(store.templates.list().map((t) => t.spec.name)).toEqual(["a", "b"]);
    store.templates.update("a", (t) => ({ ...t, state: { status: "failed", since: now, reason: "x" } }));
    expect(store.templates.get("a").state).toEqual({ status: "failed", since: now, reason: "x" });
    expect(() => store.templates.insert(full)).toThrow(expect.objectContaining({ code: "already_exists" }));
    store.templates.delete("a");
    expect(() => store.templates.get("a")).toThrow(expect.objectContaining({ code: "not_found" }));
  });
});

describe("checkpoints", () => {
  it("keeps every field, finds and filters", () => {
    const root = checkpoint("root", { kind: "golden" });
    const child = checkpoint("child", { name: "step-1", parent: root.id, base: root.id, sandbox: id("t") });
    store.checkpoints.insert(root);
    store.checkpoints.insert(child);
    expect(store.checkpoints.get(root.id)).toEqual(root);
    expect(store.checkpoints.find("step-1")).toEqual(child);
    expect(store.checkpoints.find("chil")).toEqual(child);
    expect(store.checkpoints.list({ kinds: ["user"] })).toEqual([child]);
    expect(store.checkpoints.list({ sandbox: id("s") })).toEqual([root]);
    store.checkpoints.update(child.id, (c) => ({ ...c, kind: "pause" }));
    expect(store.checkpoints.list({ kinds: ["pause"] }).length).toBe(1);
    expect(store.checkpoints.list({ kinds: [] })).toEqual([]);
    expect(store.checkpoints.list({ sandbox: id("t"), kinds: ["golden", "pause"] })).toHaveLength(1);
  });

  it("keeps a base while something is on top, but lets a mere ancestor go", () => {
    const root = checkpoint("root", { parent: id("origin") });
    store.checkpoints.insert(root);
    store.checkpoints.insert(checkpoint("child", { base: root.id }));
    store.checkpoints.insert(checkpoint("heir", { parent: root.id }));
    expect(() => store.checkpoints.delete(root.id)).toThrow(
      expect.objectContaining({ code: "failed_precondition" }),
    );
    expect(() => store.checkpoints.insert(checkpoint("x", { base: id("nowhere") }))).toThrow();
    expect(store.checkpoints.get(id("heir")).parent).toBe(root.id);
    store.checkpoints.delete(id("child"));
    store.checkpoints.delete(root.id);
    expect(store.checkpoints.get(id("heir")).parent).toBe(id("origin"));
  });

  it("names everything that stands on one", () => {
    const c = id("c");
    store.checkpoints.insert(checkpoint("c"));
    store.checkpoints.insert(checkpoint("child", { base: c, name: "after" }));
    store.templates.insert(template("py", { state: { status: "ready", since: now, checkpoint: c } }));
    store.templates.insert(template("other"));
    store.sandboxes.insert(sandbox("paused", { state: { status: "paused", since: now, checkpoint: c } }));
    store.sandboxes.insert(sandbox("resuming", { state: { status: "resuming", since: now, checkpoint: c } }));
    store.sandboxes.insert(sandbox("clone", { origin: { kind: "fork", source: id("s"), checkpoint: c } }));
    store.sandboxes.insert(
      sandbox("failed", {
        origin: { kind: "checkpoint", checkpoint: c },
        state: { status: "failed", since: now, reason: "x" },
      }),
    );
    store.sandboxes.insert(sandbox("unrelated"));
    expect(store.checkpoints.dependents(c).map(describeDependent)).toEqual([
      "checkpoint after",
      "sandbox clone (running)",
      "sandbox paused (paused)",
      "sandbox resuming (resuming)",
      "template py",
    ]);
    expect(store.checkpoints.dependents(id("child"))).toEqual([]);
    expect(store.checkpoints.hasDependents(c)).toBe(true);
    expect(store.checkpoints.hasDependents(id("child"))).toBe(false);
  });
});

describe("operations", () => {
  it("keeps the journal in order and forgets what is done", () => {
    const first = {
      id: "1",
      kind: "fork",
      sandbox: "s",
      checkpoint: "c",
      args: { n: 2, clones: ["a"] },
    } as const;
    store.operations.insert({ ...first, step: "dump", startedAt: now });
    store.operations.insert({
      id: "2",
      kind: "build_template",
      template: "t",
      args: {},
      step: "",
      startedAt: now,
    });
    store.operations.setStep("1", "restore");
    expect(store.operations.list()).toEqual([
      { ...first, step: "restore", startedAt: now },
      { id: "2", kind: "build_template", template: "t", args: {}, step: "", startedAt: now },
    ]);
    expect(store.operations.holds("fork", "c")).toBe(true);
    expect(store.operations.holds("create", "c")).toBe(false);
    store.operations.delete("1");
    store.operations.delete("1");
    expect(store.operations.holds("fork", "c")).toBe(false);
    expect(store.operations.list().map((o) => o.id)).toEqual(["2"]);
  });
});

describe("events", () => {
  it("keeps the newest, with ids that only grow", () => {
    store.transact((tx) => {
      for (let n = 1; n <= eventsMax + 5; n++) {
        const one = { at: now, type: "sandbox.created", attributes: { n: String(n) } };
        tx.events.append(n % 2 === 0 ? { ...one, sandbox: "even" } : one);
      }
    });
    const all = store.events.list({ afterId: 0, limit: 1_000_000 });
    expect(all.length).toBe(eventsMax);
    expect(all[0]).toEqual({
      id: 6,
      at: now,
      type: "sandbox.created",
      sandbox: "even",
      attributes: { n: "6" },
    });
    const even = store.events.list({ afterId: eventsMax, sandbox: "even", limit: 2 });
    expect(even.map((e) => e.id)).toEqual([eventsMax + 2, eventsMax + 4]);
  });
});

describe("the file", () => {
  let dir = "";
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "ramet-store-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it("is private, and keeps its content", async () => {
    const path = join(dir, "agent.db");
    const first = openStore(path);
    first.sandboxes.insert(sandbox("a"));
    for (const file of readdirSync(dir)) expect(statSync(join(dir, file)).mode & 0o077).toBe(0);
    await first.close();
    const second = openStore(path);
    expect(second.sandboxes.list().length).toBe(1);
    await second.close();
  });

  it("is refused when a newer agent wrote it, and left as it is", () => {
    const path = join(dir, "agent.db");
    const db = new Database(path);
    db.pragma("user_version = 99");
    db.close();
    expect(() => openStore(path)).toThrow(
      expect.objectContaining({
        code: "failed_precondition",
        message: expect.stringContaining("version 99"),
      }),
    );
    expect(new Database(path).pragma("user_version", { simple: true })).toBe(99);
  });

  it("is refused when it is something else, damaged or not there to be written", () => {
    const path = join(dir, "agent.db");
    writeFileSync(path, "not a database, but long enough to look at".repeat(100));
    expect(() => openStore(path)).toThrow(/is not a database/);
    expect(() => openStore(join(dir, "missing", "agent.db"))).toThrow(
      expect.objectContaining({ code: "unavailable" }),
    );
  });

  it("tells an unreadable row apart from a missing one", async () => {
    const path = join(dir, "agent.db");
    const first = openStore(path);
    first.sandboxes.insert(sandbox("a"));
    await first.close();
    const db = new Database(path);
    db.prepare("UPDATE sandboxes SET state = ?").run('{"status":"flying"}');
    db.close();
    const second = openStore(path);
    expect(() => second.sandboxes.get(id("a"))).toThrow(/unreadable row in sandboxes/);
    await second.close();
  });
});
