import { mkdtemp, readdir, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Containerd } from "../../../src/containerd/client.js";
import { openArchive } from "../../../src/containerd/import.js";
import {
  collectGarbage,
  connectForTest,
  emptyNamespace,
  inventory,
  until,
} from "../../support/containerd.js";
import { blobPath, digestOf, ociLayout, tarOf } from "../../support/oci-archive.js";

let containerd: Containerd;
let directory: string;

beforeAll(async () => {
  containerd = await connectForTest("ramet-import-test");
  directory = await mkdtemp(join(tmpdir(), "ramet-import-"));
});

afterEach(() => emptyNamespace(containerd));

afterAll(async () => {
  containerd.close();
  await rm(directory, { recursive: true });
});

async function archiveFile(bytes: Buffer) {
  const path = join(directory, "archive.tar");
  await writeFile(path, bytes);
  return await openArchive(path);
}

test("imports an archive under the caller's name, unpacked and safe from the garbage collector", async () => {
  const { files, manifestDigest } = await ociLayout({
    config: { Env: ["A=b"], WorkingDir: "/w", Cmd: ["/bin/sh"] },
  });
  const phases: string[] = [];
  const images = await containerd.importArchive({
    archive: await archiveFile(await tarOf(files)),
    name: "tiny:1",
    onProgress: ({ phase, doneBytes, totalBytes }) => {
      expect(doneBytes).toBeLessThanOrEqual(totalBytes);
      if (phases.at(-1) !== phase) phases.push(phase);
    },
  });
  expect(images).toMatchObject([
    { name: "tiny:1", digest: manifestDigest, config: { env: { A: "b" }, cwd: "/w" } },
  ]);
  expect(phases.at(-1)).toBe("done");
  await collectGarbage(containerd);
  const { image, topSnapshot } = await containerd.images.resolve("tiny:1");
  expect(image).toEqual(images[0]);
  expect(await containerd.snapshots.stat(topSnapshot)).toMatchObject({ kind: "committed" });
  expect(await containerd.images.list()).toEqual([image]);
  expect(await inventory(containerd)).toMatchObject({ images: ["tiny:1"], leases: [] });
});

test("takes the name from the archive and replaces an image of that name", async () => {
  const first = await ociLayout({ refName: "named" });
  const second = await ociLayout({ refName: "named", content: { "other.txt": "other" } });
  for (const { files } of [first, second])
    await containerd.importArchive({ archive: await archiveFile(await tarOf(files)) });
  expect(await containerd.images.get("named")).toMatchObject({ digest: second.manifestDigest });
  await containerd.images.delete("named");
  expect(await inventory(containerd)).toMatchObject({ images: [], blobs: [], snapshots: [], leases: [] });
});

test("refuses an image without layers", async () => {
  const { files } = await ociLayout({ refName: "empty", isEmpty: true });
  await expect(
    containerd.importArchive({ archive: await archiveFile(await tarOf(files)) }),
  ).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("no layers"),
  });
  expect(await inventory(containerd)).toMatchObject({ images: [], snapshots: [], leases: [] });
});

test("imports a compressed archive", async () => {
  const { files } = await ociLayout({ refName: "packed" });
  const archive = await archiveFile(gzipSync(await tarOf(files)));
  expect(await containerd.importArchive({ archive })).toMatchObject([{ name: "packed" }]);
});

test("imports what docker save writes", async () => {
  const tar = await tarOf(new Map([["hello.txt", Buffer.from("hello")]]));
  const config = Buffer.from(
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      rootfs: { type: "layers", diff_ids: [digestOf(tar)] },
    }),
  );
  const manifest = [{ Config: "c.json", RepoTags: ["tiny:2"], Layers: ["l/layer.tar"] }];
  const files = new Map([
    ["c.json", config],
    ["l/layer.tar", tar],
    ["manifest.json", Buffer.from(JSON.stringify(manifest))],
  ]);
  const images = await containerd.importArchive({ archive: await archiveFile(await tarOf(files)) });
  expect(images).toMatchObject([{ name: "docker.io/library/tiny:2" }]);
  expect(await containerd.images.get("tiny:2")).toEqual(images[0]);
});

async function changedLayout(
  change: (files: Map<string, Buffer>, layout: { layer: string; config: string }) => void,
) {
  const { files, layerDigest, configDigest } = await ociLayout({ refName: "broken" });
  change(files, { layer: blobPath(layerDigest), config: blobPath(configDigest) });
  return await tarOf(files);
}

const flipped = (bytes: Buffer | undefined) => {
  const copy = Buffer.from(bytes ?? "");
  copy[copy.byteLength >> 1] = (copy[copy.byteLength >> 1] ?? 0) ^ 1;
  return copy;
};

test.each<[string, () => Promise<Buffer>]>([
  ["an empty file", async () => Buffer.alloc(0)],
  ["a file that is no archive", async () => Buffer.alloc(100_000, "no archive at all ")],
  ["an archive of something else", () => tarOf(new Map([["readme.txt", Buffer.from("hello")]]))],
  ["half an archive", async () => (await changedLayout(() => {})).subarray(0, 2000)],
  [
    "a layer with a flipped byte",
    () => changedLayout((files, { layer }) => files.set(layer, flipped(files.get(layer)))),
  ],
  ["a missing layer", () => changedLayout((files, { layer }) => files.delete(layer))],
  ["a missing config", () => changedLayout((files, { config }) => files.delete(config))],
  ["an index that is no JSON", () => changedLayout((files) => files.set("index.json", Buffer.from("{")))],
  [
    "a layer that its diff id does not fit",
    async () => tarOf((await ociLayout({ refName: "broken", diffId: `sha256:${"0".repeat(64)}` })).files),
  ],
  [
    "an image for another machine",
    async () => tarOf((await ociLayout({ refName: "b", architecture: "s390x" })).files),
  ],
  ["an image without a name", async () => tarOf((await ociLayout()).files)],
])("refuses %s and leaves nothing behind", async (_case, bytes) => {
  const before = await inventory(containerd);
  const archive = await archiveFile(await bytes());
  const refused = containerd.importArchive({ archive });
  await expect(refused).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining(archive.label),
  });
  expect(await inventory(containerd)).toEqual(before);
});

test("refuses a path that is not there, and one that is a directory", async () => {
  await expect(openArchive(join(directory, "none.tar"))).rejects.toMatchObject({ code: "not_found" });
  await expect(openArchive(directory)).rejects.toMatchObject({ code: "invalid_argument" });
});

test("a cancelled import stops and leaves nothing behind", async () => {
  const { files } = await ociLayout({ refName: "slow" });
  const tar = await tarOf(files);
  const stop = new AbortController();
  async function* slowly() {
    yield tar.subarray(0, 1024);
    stop.abort();
    // Never ends by itself: only the cancellation does it.
    await new Promise(() => {});
  }
  const archive = { label: "a slow archive", data: slowly(), totalBytes: tar.byteLength };
  await expect(containerd.importArchive({ archive }, stop.signal)).rejects.toMatchObject({
    code: "cancelled",
  });
  expect(await inventory(containerd)).toMatchObject({ images: [], blobs: [], snapshots: [], leases: [] });
});

test("an archive that cannot be read to its end is not imported", async () => {
  const { files } = await ociLayout({ refName: "torn" });
  const tar = await tarOf(files);
  async function* failing() {
    yield tar.subarray(0, tar.byteLength / 2);
    throw new Error("the disk is gone");
  }
  const archive = { label: "a torn archive", data: failing(), totalBytes: tar.byteLength };
  await expect(containerd.importArchive({ archive })).rejects.toThrow(/the disk is gone/);
  expect(await inventory(containerd)).toMatchObject({ images: [], blobs: [], leases: [] });
});

test("a refused archive's file is closed", async () => {
  const archive = await archiveFile(Buffer.alloc(10_000_000, "no archive at all "));
  const isOpen = async () => {
    const links = await Promise.all(
      (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")),
    );
    return links.includes(archive.label);
  };
  await expect(containerd.importArchive({ archive })).rejects.toMatchObject({ code: "invalid_argument" });
  await until("the file is closed", async () => !(await isOpen()));
});
