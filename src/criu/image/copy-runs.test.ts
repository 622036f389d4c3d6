import { randomBytes } from "node:crypto";
import { mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copyRuns, windowsOf } from "./copy-runs.js";

const page = 4096;
const mib = 1024 * 1024;

describe("runs are read together", () => {
  const shape = (runs: readonly (readonly [number, number])[]) =>
    [...windowsOf(runs.map(([from, bytes]) => ({ from, to: from, bytes })))].map(({ from, bytes, runs }) => [
      from,
      bytes,
      runs.length,
    ]);

  it.each<[string, [number, number][], number[][]]>([
    ["when they are near", [[0, page], [2 * page, page]], [[0, 3 * page, 2]]], // biome-ignore format: one line each
    ["not when they are far", [[0, page], [mib, page]], [[0, page, 1], [mib, page, 1]]], // biome-ignore format: one line each
    ["in parts when they are long", [[0, 9 * mib]], [[0, 4 * mib, 1], [4 * mib, 4 * mib, 1], [8 * mib, mib, 1]]], // biome-ignore format: one line each
    ["as far as a window goes", [[0, 4 * mib], [4 * mib, page]], [[0, 4 * mib, 1], [4 * mib, page, 1]]], // biome-ignore format: one line each
  ])("%s", (_what, runs, expected) => expect(shape(runs)).toEqual(expected));
});

describe("a copy", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "ramet-copy-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  async function copy(bytes: Buffer, runs: { from: number; to: number; bytes: number }[], size: number) {
    await writeFile(join(dir, "from"), bytes);
    await using from = await open(join(dir, "from"), "r");
    await using to = await open(join(dir, "to"), "w");
    await to.truncate(size);
    await copyRuns({ file: from, name: "pages-1.img" }, to, runs, AbortSignal.timeout(10_000));
  }

  it("has each run in its place, and holes between", async () => {
    const bytes = randomBytes(6 * mib);
    const runs = [
      { from: 0, to: 20 * mib, bytes: page },
      { from: 2 * page, to: 8 * mib, bytes: 5 * mib },
      { from: 6 * mib - page, to: 0, bytes: page },
    ];
    await copy(bytes, runs, 64 * mib);
    const copied = await readFile(join(dir, "to"));
    const expected = Buffer.alloc(64 * mib);
    for (const run of runs) bytes.copy(expected, run.to, run.from, run.from + run.bytes);
    expect(copied.equals(expected)).toBe(true);
    expect((await stat(join(dir, "to"))).blocks * 512).toBeLessThan(6 * mib);
  });

  it("is refused when the source ends early", async () => {
    await expect(copy(Buffer.alloc(page), [{ from: 0, to: 0, bytes: 2 * page }], page)).rejects.toMatchObject(
      {
        code: "failed_precondition",
      },
    );
  });
});
