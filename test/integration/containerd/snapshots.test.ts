import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Containerd } from "../../../src/containerd/client.js";
import { upperDirectory } from "../../../src/containerd/mounts.js";
import { collectGarbage, connectForTest, emptyNamespace } from "../../support/containerd.js";

let containerd: Containerd;
beforeAll(async () => {
  containerd = await connectForTest("ramet-snapshots-test");
});
afterEach(() => emptyNamespace(containerd));
afterAll(() => containerd.close());

const labels = { "ramet.sandbox": "s1" };

test("a layer goes from active to committed and becomes the parent of others", async () => {
  const { snapshots } = containerd;
  const [key, name, child] = ["active", "committed", "child"] as const;
  const mounts = await snapshots.prepare({ key, parent: "", labels });
  expect(await snapshots.mounts(key)).toEqual(mounts);
  await writeFile(join(upperDirectory(mounts), "file"), "x".repeat(10_000));
  expect(await snapshots.stat(key)).toMatchObject({ key, parent: "", kind: "active", labels });
  await snapshots.commit({ key, name, labels });
  expect((await snapshots.usage(name)).sizeBytes).toBeGreaterThanOrEqual(10_000);
  await snapshots.prepare({ key: child, parent: name, labels });
  await snapshots.view({ key: "look", parent: name });
  expect(await snapshots.stat(child)).toMatchObject({ parent: name, kind: "active" });
  expect(await snapshots.stat("look")).toMatchObject({ parent: name, kind: "view" });
  const found = await snapshots.list(['labels."ramet.sandbox"==s1']);
  expect(found.map((it) => it.key).sort()).toEqual([child, name]);
});

test("snapshots of ours survive the garbage collector, unrooted ones do not", async () => {
  const { snapshots } = containerd;
  await snapshots.prepare({ key: "kept", parent: "" });
  await snapshots.prepare({ key: "dropped", parent: "", isRoot: false });
  await collectGarbage(containerd);
  expect((await snapshots.list([])).map(({ key }) => key)).toEqual(["kept"]);
});

test("a parent cannot be removed before its children; removing twice is fine", async () => {
  const { snapshots } = containerd;
  await snapshots.prepare({ key: "a", parent: "" });
  await snapshots.commit({ key: "a", name: "base" });
  await snapshots.prepare({ key: "b", parent: "base" });
  await expect(snapshots.remove("base")).rejects.toMatchObject({
    code: "failed_precondition",
    message: expect.stringContaining("cannot remove snapshot base"),
  });
  for (const key of ["b", "base", "b"]) await snapshots.remove(key);
});

test("labels can be changed later", async () => {
  await containerd.snapshots.prepare({ key: "a", parent: "", labels });
  await containerd.snapshots.setLabels("a", { "ramet.sandbox": "s2", "ramet.other": "x" });
  const { labels: changed } = await containerd.snapshots.stat("a");
  expect(changed).toMatchObject({
    "ramet.sandbox": "s2",
    "ramet.other": "x",
    "containerd.io/gc.root": "ramet",
  });
});

test("unknown parents and used keys are told apart", async () => {
  const { snapshots } = containerd;
  const orphan = snapshots.prepare({ key: randomUUID(), parent: "nobody" });
  await expect(orphan).rejects.toMatchObject({
    code: "not_found",
    message: expect.stringContaining("nobody"),
  });
  await snapshots.prepare({ key: "a", parent: "" });
  await expect(snapshots.prepare({ key: "a", parent: "" })).rejects.toMatchObject({ code: "already_exists" });
});
