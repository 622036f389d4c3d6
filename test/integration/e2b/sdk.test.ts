/** E2B's own clients, unmodified, against a registry and a node: the newest, and the last of the first generation. */
import { Sandbox as NewSandbox } from "e2b";
import { Sandbox as OldSandbox } from "e2b-old";
import { afterEach, describe, expect, it } from "vitest";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("e2b-sdk");
const options = () => ({ apiKey: mainKey, apiUrl: box.url });

afterEach(async () => {
  for (const id of await box.onNode()) await NewSandbox.kill(id, options());
});

async function all(query: Parameters<typeof NewSandbox.list>[0] = {}) {
  const pages = NewSandbox.list({ ...options(), ...query });
  const found: string[][] = [];
  while (pages.hasNext) found.push((await pages.nextItems()).map(({ sandboxId }) => sandboxId));
  return found;
}

// What both have in common: the older one's types are the newer one's with fewer options.
const clients = [
  ["e2b", NewSandbox],
  ["e2b 2.50", OldSandbox as unknown as typeof NewSandbox],
] as const;

describe.each(clients)("%s", (_name, Sandbox) => {
  it("creates a sandbox and is told of it", async () => {
    const metadata = { user: "a&b=c d é%" };
    const made = await Sandbox.create("base", { ...options(), metadata, timeoutMs: 60_000 });
    const info = await made.getInfo();
    expect(info).toMatchObject({ sandboxId: made.sandboxId, name: "base", state: "running", metadata });
    expect(info.endAt.getTime() - info.startedAt.getTime()).toBe(60_000);
    expect(info).toMatchObject({ cpuCount: 1, memoryMB: 256 });
    expect(await box.onNode()).toEqual([made.sandboxId]);
  });

  it("lists by page, state and metadata, newest first", async () => {
    const metadata = { run: "a&b=c d é%" };
    const ids: string[] = [];
    for (let n = 0; n < 3; n++)
      ids.unshift((await Sandbox.create("base", { ...options(), metadata })).sandboxId);
    const other = await Sandbox.create("base", { ...options(), metadata: { run: "other" } });
    await Sandbox.pause(ids[1] ?? "", options());
    expect(await all({ limit: 2, query: { metadata } })).toEqual([ids.slice(0, 2), ids.slice(2)]);
    expect(await all({ query: { metadata, state: ["paused"] } })).toEqual([[ids[1]]]);
    expect(await all({ query: { state: ["running"] } })).toEqual([[other.sandboxId, ids[0], ids[2]]]);
    expect(await all({ query: { metadata: { run: "none" } } })).toEqual([[]]);
  });

  it("pauses and connects, with the same token and a time of its own", async () => {
    const made = await Sandbox.create("base", { ...options(), timeoutMs: 60_000 });
    expect(await made.pause()).toBe(true);
    expect((await made.getInfo()).state).toBe("paused");
    expect(await Sandbox.pause(made.sandboxId, options())).toBe(false);
    const again = await Sandbox.connect(made.sandboxId, { ...options(), timeoutMs: 90_000 });
    const info = await again.getInfo();
    expect(info.state).toBe("running");
    expect(info.endAt.getTime() - Date.now()).toBeGreaterThan(80_000);
    await Sandbox.connect(made.sandboxId, { ...options(), timeoutMs: 1_000 });
    expect((await again.getInfo()).endAt).toEqual(info.endAt);
  });

  it("sets timeouts, and the sandbox is gone within a second of them", async () => {
    const made = await Sandbox.create("base", options());
    await made.setTimeout(1_000);
    const { endAt } = await made.getInfo();
    await expect
      .poll(
        () =>
          made.getInfo().then(
            () => "there",
            (error: Error) => error.name,
          ),
        { timeout: 5_000, interval: 20 },
      )
      .toBe("SandboxNotFoundError");
    expect(Date.now() - endAt.getTime()).toBeLessThan(1_000);
    expect(Date.now()).toBeGreaterThanOrEqual(endAt.getTime());
  });

  it("takes snapshots, creates from one, lists and deletes them", async () => {
    const made = await Sandbox.create("base", options());
    const plain = await made.createSnapshot();
    const named = await Sandbox.createSnapshot(made.sandboxId, { ...options(), name: "nice" });
    expect(plain.snapshotId).toMatch(/^[a-z0-9]{20}:default$/);
    expect(named).toMatchObject({ snapshotId: "main/nice:default", names: ["main/nice:default"] });
    const copies = await Promise.all(
      [plain.snapshotId, named.snapshotId, "nice"].map((source) => Sandbox.create(source, options())),
    );
    expect(new Set(copies.map(({ sandboxId }) => sandboxId)).size).toBe(3);
    const page = await Sandbox.listSnapshots({ ...options(), sandboxId: made.sandboxId }).nextItems();
    expect(page.map(({ snapshotId }) => snapshotId)).toEqual([named.snapshotId, plain.snapshotId]);
    expect(await Sandbox.deleteSnapshot(named.snapshotId, options())).toBe(true);
    expect(await Sandbox.deleteSnapshot(named.snapshotId, options())).toBe(false);
    await expect(Sandbox.create(named.snapshotId, options())).rejects.toThrow(/not found/);
    await Sandbox.deleteSnapshot(plain.snapshotId, options());
  });

  it("forks, and each clone is a sandbox of its own", async () => {
    const made = await Sandbox.create("base", { ...options(), metadata: { a: "b" } });
    const forks = await made.fork({ count: 3, timeoutMs: 60_000 });
    const ids = forks.map((fork) => {
      expect(fork).toBeInstanceOf(Sandbox);
      return (fork as NewSandbox).sandboxId;
    });
    expect(new Set([made.sandboxId, ...ids]).size).toBe(4);
    expect(new Set(await box.onNode())).toEqual(new Set([made.sandboxId, ...ids]));
    const info = await Sandbox.getInfo(ids[0] ?? "", options());
    expect(info).toMatchObject({ metadata: { a: "b" }, state: "running" });
  });

  it("kills what runs and what is paused, once", async () => {
    const [one, two] = await Promise.all([
      Sandbox.create("base", options()),
      Sandbox.create("base", options()),
    ]);
    await two.pause();
    for (const { sandboxId } of [one, two]) {
      expect(await Sandbox.kill(sandboxId, options())).toBe(true);
      expect(await Sandbox.kill(sandboxId, options())).toBe(false);
    }
    expect(await box.onNode()).toEqual([]);
  });
});
