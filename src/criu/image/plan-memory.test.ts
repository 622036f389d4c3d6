import { describe, expect, it } from "vitest";
import { writeImage } from "./codec.js";
import { numberField, serializeMessage } from "./message.js";
import { readPagemap } from "./pagemap.js";
import { keptRuns, planMemory } from "./plan-memory.js";
import { status, type Vma } from "./vma.js";

const page = 4096;
const name = "mm-1.img";

/** From and to pages. */
function vma(start: number, end: number, more: Partial<Vma> = {}): Vma {
  const plain = {
    prot: 3,
    flags: 0x22,
    status: 0x201,
    advised: new Set<number>(),
    fileId: undefined,
    offset: 0,
  };
  return { start: start * page, end: end * page, ...plain, ...more };
}
const stack = (start: number, end: number) => vma(start, end, { status: 0x203 });

/** Runs: first page, pages, flags. */
function entries(...runs: readonly (readonly [number, number, number?])[]) {
  const messages = runs.map(([start, pages, flags = 4]) =>
    serializeMessage([numberField(1, start * page), numberField(2, pages), numberField(4, flags)]),
  );
  const head = serializeMessage([numberField(1, 1)]);
  return readPagemap(writeImage("pagemap", [head, ...messages]), "pagemap-1.img").entries;
}

function plan(
  vmas: Vma[],
  found: ReturnType<typeof entries>,
  paths = new Map<number, string>(),
  canLink = false,
) {
  const result = planMemory({ vmas, entries: found, paths, memoryPath: "/m", canLink, name });
  const inPages = (run: { from: number; to: number; bytes: number }) =>
    [run.from, run.to, run.bytes].map((bytes) => bytes / page);
  return {
    mapped: result.mapped.map(({ index, offset }) => [index, offset / page]),
    file: result.fileBytes / page,
    moved: result.moved.map(inPages),
    kept: result.kept.map(({ start, end }) => [start / page, end / page]),
    keptRuns: keptRuns(result.kept).map(inPages),
    refusals: result.refusals,
  };
}

describe("memory moves", () => {
  it("whole mappings, with their holes", () => {
    expect(plan([vma(100, 200), stack(900, 910)], entries([110, 16], [150, 20], [905, 5]))).toEqual({
      mapped: [[0, 0]],
      file: 100,
      moved: [
        [0, 10, 16],
        [16, 50, 20],
      ],
      kept: [[905, 910]],
      keptRuns: [[36, 0, 5]],
      refusals: [undefined, "stack"],
    });
  });

  it("neighbours as neighbours, in one run", () => {
    const vmas = [vma(100, 120), vma(120, 140, { prot: 1 }), stack(900, 910)];
    expect(plan(vmas, entries([100, 40], [905, 5]))).toMatchObject({
      mapped: [
        [0, 0],
        [1, 20],
      ],
      file: 40,
      moved: [[0, 0, 40]],
    });
  });

  it("part of a run that spans mappings, and the rest is kept", () => {
    const vmas = [
      vma(90, 100, { status: 0x203 }),
      vma(100, 120),
      vma(120, 124),
      vma(124, 150),
      stack(150, 160),
    ];
    expect(plan(vmas, entries([95, 63]))).toEqual({
      mapped: [
        [1, 0],
        [3, 20],
      ],
      file: 46,
      moved: [
        [5, 0, 20],
        [29, 20, 26],
      ],
      kept: [
        [95, 100],
        [120, 124],
        [150, 158],
      ],
      keptRuns: [
        [0, 0, 5],
        [25, 5, 4],
        [55, 9, 8],
      ],
      refusals: ["stack", undefined, "small", undefined, "stack"],
    });
  });
});

describe("the pages image becomes the memory file", () => {
  const planLinked = (vmas: Vma[], found: ReturnType<typeof entries>) => plan(vmas, found, new Map(), true);

  it("where most pages are of whole mappings; others go behind it, with their holes", () => {
    const vmas = [vma(90, 92), vma(100, 200), vma(300, 400), vma(400, 420), stack(900, 910)];
    const found = entries([90, 2], [100, 100], [310, 20], [350, 70], [905, 5]);
    expect(planLinked(vmas, found)).toEqual({
      mapped: [
        [1, 2],
        [2, 197],
        [3, 172],
      ],
      file: 297,
      moved: [
        [102, 207, 20],
        [122, 247, 50],
      ],
      kept: [
        [90, 92],
        [905, 910],
      ],
      keptRuns: [
        [0, 0, 2],
        [192, 2, 5],
      ],
      refusals: ["small", undefined, undefined, undefined, "stack"],
    });
  });

  it("not where most pages are of mappings with holes", () => {
    const vmas = [vma(100, 140), vma(300, 400), stack(900, 910)];
    expect(planLinked(vmas, entries([100, 40], [310, 60], [905, 5]))).toMatchObject({
      mapped: [
        [0, 0],
        [1, 40],
      ],
      file: 140,
    });
  });
});

describe("memory stays", () => {
  it("where pages are in a parent's images", () => {
    const found = entries([100, 20], [130, 4, 1], [905, 5]);
    expect(plan([vma(100, 200), stack(900, 910)], found)).toMatchObject({
      mapped: [],
      refusals: ["elsewhere", "stack"],
      keptRuns: [[0, 0, 25]],
    });
  });

  it("where a memory file of an earlier generation is mapped, and little was changed", () => {
    const mapped = vma(100, 200, { flags: 2, status: status.regular | status.filePrivate, fileId: 5 });
    const result = plan([mapped, stack(900, 910)], entries([100, 4], [905, 5]), new Map([[5, "/m/c1-1"]]));
    expect(result).toMatchObject({ mapped: [], refusals: ["earlier", "stack"] });
  });

  it("around guard regions, which are listed at the end", () => {
    const guard = vma(110, 111, { status: status.guard });
    const result = plan(
      [vma(100, 200), vma(200, 300), stack(900, 910), guard],
      entries([120, 160], [905, 5]),
    );
    expect(result).toMatchObject({
      mapped: [[1, 0]],
      refusals: ["guarded", undefined, "stack", undefined],
    });
  });

  it("when a page map would have nothing left", () => {
    expect(plan([vma(100, 200)], entries([100, 40]))).toMatchObject({
      mapped: [],
      file: 0,
      moved: [],
      kept: [[100, 140]],
    });
  });
});

it("mappings out of order are refused", () => {
  expect(() => plan([vma(200, 300), vma(100, 200)], entries([100, 40]))).toThrow(/out of order/);
});
