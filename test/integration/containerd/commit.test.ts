import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Containerd } from "../../../src/containerd/client.js";
import { parseConfig, parseManifest } from "../../../src/containerd/image-format.js";
import { openArchive } from "../../../src/containerd/import.js";
import { mappingLabelsOf, upperDirectory } from "../../../src/containerd/mounts.js";
import { collectGarbage, connectForTest, emptyNamespace, inventory } from "../../support/containerd.js";
import { ociLayout, tarOf } from "../../support/oci-archive.js";
import { testMapping } from "../../support/oci-spec.js";

let containerd: Containerd;
let directory: string;
let base: string;
const createdAt = new Date("2026-01-02T03:04:05Z");

beforeAll(async () => {
  containerd = await connectForTest("ramet-commit-test");
  directory = await mkdtemp(join(tmpdir(), "ramet-commit-"));
});

beforeEach(async () => {
  const { files } = await ociLayout({
    content: { "a.txt": "a\n", "b.txt": "b\n" },
    config: { Env: ["A=1"] },
  });
  await writeFile(join(directory, "base.tar"), await tarOf(files));
  await containerd.importArchive({ archive: await openArchive(join(directory, "base.tar")), name: "base" });
  base = (await containerd.images.resolve("base")).topSnapshot;
});

afterEach(() => emptyNamespace(containerd));

afterAll(async () => {
  containerd.close();
  await rm(directory, { recursive: true });
});

async function layerWith(key: string, parent: string, fill: (upper: string) => Promise<unknown>) {
  const upper = upperDirectory(await containerd.snapshots.prepare({ key, parent }));
  await fill(upper);
  return upper;
}

const request = { base: "base", createdBy: "ramet commit s1", createdAt };

test("a committed snapshot becomes an image with one more layer, unpacked", async () => {
  await layerWith("work", base, async (upper) => {
    await mkdir(join(upper, "dir"));
    await writeFile(join(upper, "dir/new.txt"), "new\n");
    await chmod(join(upper, "dir/new.txt"), 0o4750);
    await symlink("dir/new.txt", join(upper, "link"));
  });
  await containerd.snapshots.commit({ key: "work", name: "done" });
  const image = await containerd.commit({
    ...request,
    name: "made:1",
    snapshotKey: "done",
    comment: "step 1000",
    changes: { env: { B: "2" }, cmd: ["/bin/sh"] },
  });
  expect(image).toMatchObject({ name: "made:1", config: { env: { A: "1", B: "2" }, cmd: ["/bin/sh"] } });
  await containerd.snapshots.remove("done");
  await containerd.images.delete("base");

  const { manifest, config, topSnapshot } = await containerd.images.resolve("made:1");
  expect(manifest.layers).toHaveLength(2);
  expect(config.history.at(-1)).toMatchObject({ created_by: "ramet commit s1", comment: "step 1000" });
  expect(config.rootfs.diff_ids).toHaveLength(2);
  const upper = await unpackedDirectory(topSnapshot);
  expect(await readFile(join(upper, "dir/new.txt"), "utf8")).toBe("new\n");
  expect(await readFile(join(upper, "link"), "utf8")).toBe("new\n");
  expect(await inventory(containerd)).toMatchObject({ images: ["made:1"], leases: [] });
});

/** Host directory of a committed snapshot's own layer: the topmost lower one of a child. */
async function unpackedDirectory(snapshot: string): Promise<string> {
  const mounts = await containerd.snapshots.prepare({ key: "look", parent: snapshot });
  const lower = mounts[0]?.options.find((option) => option.startsWith("lowerdir="));
  return lower?.slice("lowerdir=".length).split(":")[0] ?? "";
}

test("an active snapshot is committed as it is at that time, with what it removed", async () => {
  const upper = await layerWith("work", base, async (path) => {
    await writeFile(join(path, "c.txt"), "c\n");
    // Overlayfs keeps a removal as a character device 0:0.
    await execa("mknod", [join(path, "a.txt"), "c", "0", "0"]);
  });
  const image = await containerd.commit({ ...request, name: "made:2", snapshotKey: "work" });
  await writeFile(join(upper, "late.txt"), "late\n");
  const { config, manifest } = await containerd.images.resolve(image.name);
  const layer = manifest.layers[1]?.digest ?? "";
  const { labels } = await containerd.content.info(layer);
  expect(labels["containerd.io/uncompressed"]).toBe(config.rootfs.diff_ids[1]);
  const { stdout } = await execa("tar", ["-tz"], { input: await containerd.content.readBytes(layer) });
  expect(stdout.split("\n").sort()).toEqual([".wh.a.txt", "c.txt"]);
  expect(await containerd.snapshots.list(["kind==view"])).toEqual([]);
});

test("the image is an ordinary base: a commit of a commit has both layers", async () => {
  await layerWith("one", base, async (path) => writeFile(join(path, "one"), "1"));
  await containerd.commit({ ...request, name: "made:1", snapshotKey: "one" });
  const { topSnapshot } = await containerd.images.resolve("made:1");
  await layerWith("two", topSnapshot, async (path) => writeFile(join(path, "two"), "2"));
  await containerd.commit({ ...request, base: "made:1", name: "made:2", snapshotKey: "two" });
  await containerd.images.delete("made:1");
  await collectGarbage(containerd);
  const { manifest, config, topSnapshot: top } = await containerd.images.resolve("made:2");
  expect(manifest.layers).toHaveLength(3);
  expect(config.history).toHaveLength(3);
  for (const { digest } of manifest.layers) await containerd.content.info(digest);
  expect(await containerd.snapshots.stat(top)).toMatchObject({ kind: "committed" });
  parseManifest(await containerd.content.readBytes((await containerd.images.get("made:2")).digest));
  parseConfig(await containerd.content.readBytes(manifest.config.digest));
});

test("what it makes for a moment carries our label, so that a start after a crash removes it", async () => {
  await layerWith("work", base, async (path) => writeFile(join(path, "one"), "1"));
  await containerd.snapshots.commit({ key: "work", name: "done" });
  const seen = new Set<string>();
  let isOver = false;
  const committing = containerd.commit({ ...request, name: "made:1", snapshotKey: "done" }).finally(() => {
    isOver = true;
  });
  while (!isOver)
    for (const { key } of await containerd.snapshots.list(['labels."ramet.commit"'])) seen.add(key.slice(-5));
  await committing;
  expect([...seen].sort()).toEqual(["lower", "upper"]);
});

test("the same layer twice, and a layer without a change, are fine", async () => {
  await layerWith("same", base, async (path) => writeFile(join(path, "same"), "same"));
  await layerWith("empty", base, async () => {});
  for (const name of ["made:1", "made:2"]) await containerd.commit({ ...request, name, snapshotKey: "same" });
  const image = await containerd.commit({ ...request, name: "made:3", snapshotKey: "empty" });
  expect((await containerd.images.resolve(image.name)).manifest.layers).toHaveLength(2);
});

test.each([
  ["an unknown base", { base: "nobody", snapshotKey: "work" }, "not_found"],
  ["an unknown snapshot", { snapshotKey: "nobody" }, "not_found"],
  ["a name that is none", { snapshotKey: "work", name: "a b" }, "invalid_argument"],
  ["a snapshot with shifted owners", { snapshotKey: "shifted" }, "failed_precondition"],
])("refuses %s and leaves nothing behind", async (_case, change, code) => {
  await layerWith("work", base, async () => {});
  await containerd.snapshots.prepare({ key: "shifted", parent: base, labels: mappingLabelsOf(testMapping) });
  await collectGarbage(containerd);
  const before = await inventory(containerd);
  await expect(containerd.commit({ ...request, name: "made", ...change })).rejects.toMatchObject({ code });
  expect(await inventory(containerd)).toEqual(before);
});
