/** Checkpoints that are damaged, do not fit, or are still needed. */
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { formatManifest, parseManifest } from "../../../src/checkpoint/manifest.js";
import { openBox, soon } from "../../support/box.js";

const box = openBox("damage");

let id: string;
let checkpoint: string;
let directory: string;

beforeEach(async () => {
  ({ id } = await box.create());
  await box.sh(id, "echo before > /tmp/state");
  checkpoint = (await box.node.checkpoints.create(id, { name: "c" }, soon())).id;
  directory = join(box.test.dataDir, "checkpoints", checkpoint);
});

const restore = () =>
  box.node.sandboxes.create({ source: { kind: "checkpoint", checkpoint: "c" }, labels: {}, env: {} }, soon());

/** One file of the dump that is not empty. */
function pages(): string {
  return join(directory, "images", "pages-1.img");
}

const manifestPath = () => join(directory, "manifest.json");

function replaceManifest(put: (path: string) => unknown): void {
  rmSync(manifestPath());
  put(manifestPath());
}

function editManifest(change: (manifest: ReturnType<typeof parseManifest>) => object): void {
  const manifest = parseManifest("c", readFileSync(manifestPath(), "utf8"));
  writeFileSync(manifestPath(), formatManifest({ ...manifest, ...change(manifest) } as typeof manifest));
}

describe("a restore is refused, and leaves nothing, when", () => {
  it.each([
    ["a byte is flipped", () => flip(pages()), /images\/pages-1\.img has changed/],
    ["a file is missing", () => rmSync(pages()), /images\/pages-1\.img is missing/],
    [
      "a file is shorter",
      () => truncateSync(pages(), 4096),
      /images\/pages-1\.img has 4096 bytes instead of/,
    ],
    ["the manifest is missing", () => rmSync(manifestPath()), /manifest\.json is missing/],
    ["the manifest is a FIFO", () => replaceManifest((path) => execFileSync("mkfifo", [path])), /no regular/],
    ["the manifest is a directory", () => replaceManifest((path) => mkdirSync(path)), /no regular file/],
    ["the manifest is a link", () => replaceManifest((path) => symlinkSync(path, path)), /no regular file/],
    ["the manifest is no JSON", () => writeFileSync(manifestPath(), "{"), /it is not JSON/],
    [
      "the manifest is huge",
      () => truncateSync(manifestPath(), 3 * 1024 ** 3),
      /damaged: it has 3221225472 bytes/,
    ],
    [
      "the manifest is another checkpoint's",
      () => editManifest(() => ({ id: "another0another0anot" })),
      /damaged: it is that of checkpoint another0another0anot/,
    ],
    [
      "the manifest was edited",
      () => edit(/"memoryBytes": \d+/, '"memoryBytes": 1'),
      /does not match its own digest/,
    ],
    ["the format is newer", () => edit(/"formatVersion": 2/, '"formatVersion": 3'), /format version 3/],
    [
      "the CPU lacks a feature",
      () =>
        editManifest(({ host }) => ({ host: { ...host, cpuFeatures: [...host.cpuFeatures, "avx9000"] } })),
      /CPU features that this machine lacks: avx9000/,
    ],
    [
      "CRIU is older than the one that made it",
      () => editManifest(({ host }) => ({ host: { ...host, criuVersion: "99.1" } })),
      /made with CRIU 99\.1/,
    ],
  ])("%s", async (_name, harm, message) => {
    const before = await box.holdings();
    harm();
    await expect(restore()).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringMatching(message),
    });
    expect(await box.node.checkpoints.verify("c", soon())).toEqual([expect.stringMatching(message)]);
    expect(await box.sh(id, "cat /tmp/state")).toBe("before");
    await box.expectNoLeak(before);
  });
});

it("says so when one looks at a checkpoint whose manifest is damaged", async () => {
  expect((await box.node.checkpoints.get("c")).manifestJson).toContain(checkpoint);
  replaceManifest((path) => execFileSync("mkfifo", [path]));
  await expect(box.node.checkpoints.get("c")).rejects.toMatchObject({ code: "failed_precondition" });
  await box.node.checkpoints.delete("c", soon());
});

it("restores again once the file is back", async () => {
  const original = readFileSync(pages());
  flip(pages());
  await expect(restore()).rejects.toMatchObject({ code: "failed_precondition" });
  writeFileSync(pages(), original);
  expect(await box.node.checkpoints.verify("c", soon())).toEqual([]);
  const restored = await restore();
  expect(await box.sh(restored.id, "cat /tmp/state")).toBe("before");
});

it("leaves a paused sandbox paused when its memory is damaged, and resumes it once that is mended", async () => {
  const paused = await box.node.sandboxes.pause(id, soon());
  const path = join(box.test.dataDir, "checkpoints", paused.checkpoint.id, "images", "pages-1.img");
  renameSync(path, `${path}.away`);
  await expect(box.node.sandboxes.resume(id, soon())).rejects.toMatchObject({ code: "failed_precondition" });
  expect((await box.node.sandboxes.get(id)).state.status).toBe("paused");
  renameSync(`${path}.away`, path);
  expect((await box.node.sandboxes.resume(id, soon())).state.status).toBe("running");
  expect(await box.sh(id, "cat /tmp/state")).toBe("before");
});

describe("what stands on a checkpoint keeps it", () => {
  it("names a sandbox restored from it, and lets go with it", async () => {
    const restored = await restore();
    await expect(box.node.checkpoints.delete("c", soon())).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining(restored.id),
    });
    await box.node.sandboxes.delete(restored.id, { force: true }, soon());
    await box.node.checkpoints.delete("c", soon());
    await expect(box.node.checkpoints.get("c")).rejects.toMatchObject({ code: "not_found" });
  });

  it("outlives its source, and its lineage outlives it", async () => {
    const second = await box.node.checkpoints.create(id, { name: "second" }, soon());
    expect(second.parent).toBe(checkpoint);
    await box.node.sandboxes.delete(id, { force: true }, soon());
    await box.node.checkpoints.delete("c", soon());
    const restored = await box.node.sandboxes.create(
      { source: { kind: "checkpoint", checkpoint: "second" }, labels: {}, env: {} },
      soon(),
    );
    expect(await box.sh(restored.id, "cat /tmp/state")).toBe("before");
  });
});

function flip(path: string): void {
  const content = readFileSync(path);
  content[1000] = (content[1000] ?? 0) ^ 1;
  writeFileSync(path, content);
}

function edit(what: RegExp, to: string): void {
  const path = join(directory, "manifest.json");
  writeFileSync(path, readFileSync(path, "utf8").replace(what, to));
}
