import { describe, expect, it } from "vitest";
import { writeImage } from "./codec.js";
import { filesMax, granuleBytesMin, mappingsMax, planFolds } from "./fold.js";
import { numberField, serializeMessage } from "./message.js";
import { readPagemap } from "./pagemap.js";
import type { Candidate } from "./shareable.js";
import { advice, mapFlags, protection, status, type Vma } from "./vma.js";

const page = 4096;
/** Pages of a granule. */
const granule = granuleBytesMin / page;

/** From and to granules. */
function earlier(start: number, end: number, fileId = 5, more: Partial<Vma> = {}): Candidate {
  const plain = {
    prot: 3,
    flags: 2,
    status: status.regular | status.filePrivate,
    advised: new Set<number>(),
  };
  const vma = {
    start: start * granuleBytesMin,
    end: end * granuleBytesMin,
    ...plain,
    fileId,
    offset: 0,
    ...more,
  };
  return { vma, path: `/m/c${fileId}-1`, presentBytes: 0, pagesElsewhere: false, guarded: false };
}

/** Runs: first granule, page in it, pages. */
function plan(
  candidates: readonly Candidate[],
  runs: readonly (readonly [number, number, number])[],
  hasFile = false,
) {
  const messages = runs.map(([at, first, pages]) =>
    serializeMessage([
      numberField(1, (at * granule + first) * page),
      numberField(2, pages),
      numberField(4, 4),
    ]),
  );
  const head = serializeMessage([numberField(1, 1)]);
  const { entries } = readPagemap(writeImage("pagemap", [head, ...messages]), "pagemap-1.img");
  const counted = candidates.map((candidate) => {
    const { start, end } = candidate.vma;
    const bytes = entries.map((entry) => Math.min(entry.end, end) - Math.max(entry.start, start));
    return { ...candidate, presentBytes: bytes.reduce((sum, own) => sum + Math.max(0, own), 0) };
  });
  const folds = planFolds({ candidates: counted, entries, memoryPath: "/m", hasFile });
  return folds.map(({ index, start, end, presentBytes }) => [
    index,
    start / granuleBytesMin,
    end / granuleBytesMin,
    presentBytes / page,
  ]);
}

describe("of a mapping of an earlier file", () => {
  it.each<[string, [number, number, number][], number[][]]>([
    ["nothing moves that was not changed", [], []],
    ["a granule moves of which an eighth was changed", [[3, 5, granule / 8], [3, 50, granule / 8]], [[0, 3, 4, granule / 4]]], // biome-ignore format: one line each
    ["a granule stays of which less was changed", [[3, 5, granule / 8 - 1], [4, 5, granule / 8 - 1]], []], // biome-ignore format: one line each
    ["what would be less than 64 KiB stays", [[3, 5, 15]], []],
    ["neighbours move as one", [[3, 5, 20], [4, 5, 20]], [[0, 3, 5, 40]]], // biome-ignore format: one line each
    ["what was changed whole is apart, so that it needs no copy", [[3, 5, 3 * granule]], [[0, 3, 4, granule - 5], [0, 4, 6, 2 * granule]]], // biome-ignore format: one line each
    ["all moves", [[0, 0, 100 * granule]], [[0, 0, 100, 100 * granule]]],
  ])("%s", (_what, runs, expected) => expect(plan([earlier(0, 100)], runs)).toEqual(expected));

  it("of less than a granule, its part is what counts", () => {
    const small = [earlier(0, 0.5), earlier(0.5, 2, 6)];
    expect(plan(small, [[0, 10, 16]])).toEqual([[0, 0, 0.5, 16]]);
    expect(plan(small, [[0, 10, 100]])).toEqual([
      [0, 0, 0.5, 22],
      [1, 0.5, 1, 32],
      [1, 1, 2, 46],
    ]);
  });

  it.each<[string, Candidate]>([
    ["code", earlier(0, 4, 5, { prot: protection.read | protection.execute })],
    ["locked", earlier(0, 4, 5, { flags: 2 | mapFlags.locked })],
    ["to be wiped", earlier(0, 4, 5, { advised: new Set([advice.wipeOnFork]) })],
    ["shared", earlier(0, 4, 5, { flags: 1, status: status.regular | status.fileShared })],
    ["guarded", { ...earlier(0, 4), guarded: true }],
    ["elsewhere in part", { ...earlier(0, 4), pagesElsewhere: true }],
    ["of another file", { ...earlier(0, 4), path: "/usr/lib/x" }],
  ])("that is %s nothing moves", (_what, candidate) => {
    expect(plan([candidate], [[0, 0, 2 * granule]], true)).toEqual([]);
  });
});

describe("the number of mappings has a bound", () => {
  it("because granules are larger where more is mapped", () => {
    const size = 2 ** 12;
    const runs = Array.from({ length: size / 2 }, (_, at) => [2 * at, 0, granule] as const);
    const pieces = plan([earlier(0, size)], runs);
    expect(pieces).toEqual([[0, 0, size, (size / 2) * granule]]);
    const apart = Array.from({ length: size / 64 }, (_, at) => [64 * at, 0, 8 * granule] as const);
    expect(plan([earlier(0, size)], apart)).toHaveLength(size / 64);
  });

  it("because a process with very many is not split", () => {
    const many = Array.from({ length: mappingsMax }, (_, at) => earlier(200 + at, 201 + at));
    expect(plan([earlier(0, 100), ...many], [[3, 0, 20 * granule]])).toEqual([[0, 0, 100, 20 * granule]]);
  });
});

describe("the number of files has a bound", () => {
  const generations = (count: number) =>
    Array.from({ length: count }, (_, at) => earlier(100 * at, 100 * at + 1 + at, at + 1));

  it("and below it none is given up", () => {
    expect(plan(generations(filesMax - 1), [], true)).toEqual([]);
  });

  it("at which those with little memory are folded whole", () => {
    const folded = plan(generations(filesMax), [], true);
    expect(folded).toEqual([0, 1, 2, 3].map((at) => [at, 100 * at, 100 * at + 1 + at, 0]));
  });

  it("and a file of which all was changed does not count", () => {
    expect(plan(generations(filesMax), [[0, 0, granule]])).toEqual([[0, 0, 1, granule]]);
  });

  it("but nothing is folded for its sake when no file is added", () => {
    expect(plan(generations(filesMax + 4), [])).toEqual([]);
  });
});
