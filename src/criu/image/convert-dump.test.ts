import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readImage, writeImage } from "./codec.js";
import { convertDump } from "./convert-dump.js";
import { allBytesOf, bytesField, numberField, parseMessage, serializeMessage, textField } from "./message.js";
import { readPagemap } from "./pagemap.js";
import { readFileTable, regularFileEntry } from "./reg-file.js";
import { parseVma } from "./vma.js";

const page = 4096;
const mountPath = "/m";

let dir: string;
let images: string;
let memory: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-convert-"));
  images = join(dir, "images");
  memory = join(dir, "memory");
  await mkdir(images);
  await mkdir(memory);
  await write("files.img", writeImage("files", [regularFileEntry(file(4, "/bin/true"))]));
  await write("mountpoints-13.img", writeImage("mounts", [mount(5, "/"), mount(6, mountPath)]));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const write = (name: string, bytes: Uint8Array) => writeFile(join(images, name), bytes);
const file = (id: number, path: string) => ({ id, path, bytes: 1, mountId: 5 });
const mount = (id: number, path: string) => serializeMessage([numberField(2, id), textField(7, path)]);

function vma(start: number, end: number, status: number, flags = 0x22, fileId = 0, offset = 0): Buffer {
  const numbers = [start * page, end * page, offset * page, fileId, 3, flags, status, 1];
  return serializeMessage(numbers.map((number, index) => numberField(index + 1, number)));
}

/** A page whose bytes all are `letter`. */
const pages = (letters: string) => Buffer.concat([...letters].map((letter) => Buffer.alloc(page, letter)));

async function writeProcess(pid: number, vmas: Buffer[], runs: [number, number][], letters: string) {
  const mm = serializeMessage([
    numberField(1, 7),
    ...vmas.map((bytes) => bytesField(14, bytes)),
    numberField(15, 1),
  ]);
  const entries = runs.map(([start, count]) =>
    serializeMessage([numberField(1, start * page), numberField(2, count), numberField(4, 6)]),
  );
  await write(`mm-${pid}.img`, writeImage("mm", [mm]));
  const head = serializeMessage([numberField(1, pid)]);
  await write(`pagemap-${pid}.img`, writeImage("pagemap", [head, ...entries]));
  await write(`pages-${pid}.img`, pages(letters));
}

/** A mapping of 100 pages of which 20 are there, and a stack of 3. */
const writeTypical = (pid: number) =>
  writeProcess(pid, [vma(100, 200, 0x201), vma(900, 910, 0x203)], [[110, 20], [900, 3]], `${"a".repeat(20)}xyz`); // biome-ignore format: one line

/** 100 pages from the fifth of an earlier file on, and what was changed of them; and a stack. */
async function writeGeneration(runs: [number, number][]) {
  await writeFile(join(memory, "c0-1"), pages("abcdefghijklmnopqrstuvwxyz".repeat(4)));
  await write("files.img", writeImage("files", [regularFileEntry(file(8, "/m/c0-1"))]));
  const vmas = [vma(100, 200, 0x41, 0x02, 8, 4), vma(900, 910, 0x203)];
  await writeProcess(1, vmas, runs, "#".repeat(runs.reduce((sum, [, count]) => sum + count, 0)));
}

const convert = (more: { checkpoint?: string; owner?: { uid: number; gid: number } } = {}) =>
  convertDump(
    { images, memory, earlierMemory: memory, checkpoint: "c1", memoryPath: mountPath, mountPath, ...more },
    AbortSignal.timeout(10_000),
  );

async function messagesOf(name: string, kind: "mm" | "files") {
  return readImage(await readFile(join(images, name)), kind, name);
}

async function mappingsOf(pid: number) {
  const name = `mm-${pid}.img`;
  const [mm = Buffer.alloc(0)] = await messagesOf(name, "mm");
  return allBytesOf(parseMessage(mm, name), 14, name).map((bytes) => parseVma(bytes, name));
}

describe("a dump is converted", () => {
  it("so that pages are in a memory file, and the rest in the images", async () => {
    await writeTypical(1);
    expect(await convert()).toEqual({
      processes: [
        { pid: 1, movedPages: 20, keptPages: 3, file: { name: "c1-1", bytes: 100 * page }, mapsMemory: true },
      ],
      earlier: [],
    });
    const bytes = await readFile(join(memory, "c1-1"));
    const expected = Buffer.concat([Buffer.alloc(10 * page), pages("a".repeat(20)), Buffer.alloc(70 * page)]);
    expect(bytes.equals(expected)).toBe(true);
    const pagemap = readPagemap(await readFile(join(images, "pagemap-1.img")), "pagemap-1.img");
    expect(pagemap).toMatchObject({
      pagesId: 2,
      entries: [{ start: 900 * page, end: 903 * page, offset: 0 }],
    });
    expect((await readFile(join(images, "pages-2.img"))).equals(pages("xyz"))).toBe(true);
    expect(await mappingsOf(1)).toMatchObject([
      { flags: 0x02, status: 0x41, fileId: 5 },
      { flags: 0x22, status: 0x203, fileId: undefined },
    ]);
    const { paths } = readFileTable(await messagesOf("files.img", "files"), "files.img");
    expect(paths.get(5)).toBe("/m/c1-1");
    const left = ["files.img", "mm-1.img", "mountpoints-13.img", "pagemap-1.img", "pages-2.img"];
    expect((await readdir(images)).sort()).toEqual(left);
  });

  it("each process with a file of its own, and images that all of a sandbox can read", async () => {
    await writeTypical(1);
    await writeTypical(2);
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const { processes } = await convert({ owner });
    expect(processes.map(({ file }) => file?.name)).toEqual(["c1-1", "c1-2"]);
    const ids = [await mappingsOf(1), await mappingsOf(2)].map(([first]) => first?.fileId);
    expect(ids).toEqual([5, 6]);
    const modes = ["pages-3.img", "pages-4.img", "mm-1.img", "pagemap-2.img", "files.img"].map(
      async (name) => {
        return (await stat(join(images, name))).mode & 0o777;
      },
    );
    expect(new Set(await Promise.all(modes))).toEqual(new Set([0o644]));
    expect((await stat(join(memory, "c1-2"))).mode & 0o777).toBe(0o440);
  });

  it("without a copy where the pages are those of whole mappings", async () => {
    await writeProcess(1, [vma(100, 140, 0x201), vma(900, 910, 0x203)], [[100, 40], [900, 3]], `${"c".repeat(40)}xyz`); // biome-ignore format: one line
    const { ino } = await stat(join(images, "pages-1.img"));
    await writeFile(join(images, "pages-1.img"), "behind the pages", { flag: "a" });
    expect(await convert()).toMatchObject({
      processes: [{ movedPages: 40, keptPages: 3, file: { name: "c1-1", bytes: 43 * page } }],
    });
    expect(await stat(join(memory, "c1-1"))).toMatchObject({
      ino,
      size: 43 * page,
      mode: 0o100440,
      nlink: 1,
    });
    expect((await readFile(join(memory, "c1-1"))).equals(pages(`${"c".repeat(40)}xyz`))).toBe(true);
    expect((await readFile(join(images, "pages-2.img"))).equals(pages("xyz"))).toBe(true);
  });

  it("and tells of earlier memory files, of which little was changed: that stays", async () => {
    await writeGeneration([[110, 3], [900, 3]]); // biome-ignore format: one line
    const before = await readFile(join(images, "mm-1.img"));
    expect(await convert()).toEqual({
      processes: [{ pid: 1, movedPages: 0, keptPages: 6, file: undefined, mapsMemory: true }],
      earlier: ["c0-1"],
    });
    expect((await readFile(join(images, "mm-1.img"))).equals(before)).toBe(true);
    expect(await readdir(memory)).toEqual(["c0-1"]);
  });

  it("with that part of an earlier file of which much was changed", async () => {
    await writeGeneration([[110, 20], [900, 3]]); // biome-ignore format: one line
    expect(await convert()).toEqual({
      processes: [
        { pid: 1, movedPages: 18, keptPages: 5, file: { name: "c1-1", bytes: 28 * page }, mapsMemory: true },
      ],
      earlier: ["c0-1"],
    });
    const expected = pages(`efghijklmn${"#".repeat(18)}`);
    expect((await readFile(join(memory, "c1-1"))).equals(expected)).toBe(true);
    expect(await mappingsOf(1)).toMatchObject([
      { start: 100 * page, end: 128 * page, fileId: 9, offset: 0, flags: 0x02, status: 0x41 },
      { start: 128 * page, end: 200 * page, fileId: 8, offset: 32 * page, flags: 0x02, status: 0x41 },
      { start: 900 * page, end: 910 * page },
    ]);
    const { entries } = readPagemap(await readFile(join(images, "pagemap-1.img")), "pagemap-1.img");
    expect(entries).toMatchObject([
      { start: 128 * page, end: 130 * page },
      { start: 900 * page, end: 903 * page },
    ]);
  });

  it("without an earlier file of which all was changed, unless it is open", async () => {
    await writeGeneration([[100, 100], [900, 3]]); // biome-ignore format: one line
    await write("fdinfo-2.img", writeImage("fdinfo", [serializeMessage([numberField(1, 4)])]));
    expect(await convert()).toMatchObject({ processes: [{ movedPages: 100 }], earlier: [] });
    await rm(join(memory, "c1-1"));
    await writeGeneration([[100, 100], [900, 3]]); // biome-ignore format: one line
    await write("fdinfo-3.img", writeImage("fdinfo", [serializeMessage([numberField(1, 8)])]));
    expect(await convert()).toMatchObject({ processes: [{ movedPages: 100 }], earlier: ["c0-1"] });
  });

  it("with no more of an earlier file than it has data", async () => {
    await writeGeneration([[110, 18], [900, 3]]); // biome-ignore format: one line
    await truncate(join(memory, "c0-1"), 10 * page);
    await truncate(join(memory, "c0-1"), 104 * page);
    await convert();
    const { size, blocks } = await stat(join(memory, "c1-1"));
    expect([size, blocks * 512]).toEqual([28 * page, 24 * page]);
    const expected = Buffer.concat([pages("efghij"), Buffer.alloc(4 * page), pages("#".repeat(18))]);
    expect((await readFile(join(memory, "c1-1"))).equals(expected)).toBe(true);
  });

  it("again after an attempt that was killed", async () => {
    await writeTypical(1);
    await writeFile(join(memory, "c1-1"), "half", { mode: 0o400 });
    await write("pages-2.img", Buffer.from("half"));
    await write("mm-1.img.tmp", Buffer.from("half"));
    await convert();
    expect((await stat(join(memory, "c1-1"))).size).toBe(100 * page);
    expect((await readFile(join(images, "pages-2.img"))).equals(pages("xyz"))).toBe(true);
  });
});

describe("a dump is refused, and stays as it was,", () => {
  it.each<[string, () => Promise<unknown>]>([
    ["with pages that are missing", () => write("pages-1.img", pages("abc"))],
    ["without a page map", () => rm(join(images, "pagemap-1.img"))],
    ["without files", () => rm(join(images, "files.img"))],
    ["without the mount", () => write("mountpoints-13.img", writeImage("mounts", [mount(5, "/")]))],
    ["with two processes on the same pages", () => copyPagemap()],
    [
      "that was converted already",
      () => write("files.img", writeImage("files", [regularFileEntry(file(8, "/m/c1-1"))])),
    ],
    [
      "with a memory file deeper below",
      () => write("files.img", writeImage("files", [regularFileEntry(file(8, "/m/a/b"))])),
    ],
  ])("%s", async (_what, damage) => {
    await writeTypical(1);
    await damage();
    const before = (await readdir(images)).sort();
    await expect(convert()).rejects.toMatchObject({ code: "failed_precondition" });
    expect((await readdir(images)).sort()).toEqual(before);
    expect(await readdir(memory)).toEqual([]);
  });

  async function copyPagemap(): Promise<void> {
    await writeTypical(2);
    await write("pagemap-2.img", await readFile(join(images, "pagemap-1.img")));
  }

  it("for a checkpoint that is no name", async () => {
    await writeTypical(1);
    for (const checkpoint of ["", "../x", "a/b", "x".repeat(200)])
      await expect(convert({ checkpoint })).rejects.toMatchObject({ code: "invalid_argument" });
  });
});
