import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readImage, writeImage } from "./codec.js";
import { readThread } from "./core.js";
import { guardChains, guardProcesses } from "./guard.js";
import { guardProgram, idleProgram } from "./guard-program.js";
import { bytesField, numberField, parseMessage, serializeMessage, textField } from "./message.js";
import { chainOf, type Filter, newFilter, readFilters, type Thread, writeFilters } from "./seccomp-chain.js";

const base = Buffer.from("0600000000000000", "hex");
const app = Buffer.from("060000000000ff7f", "hex");
const tsync = 1;
const listener = 8 + 16 + 32;

const none = (tid: number): Thread => ({ tid, mode: 0, filter: 0 });
const strict = (tid: number): Thread => ({ tid, mode: 1, filter: 0 });
const filtered = (tid: number, filter: number): Thread => ({ tid, mode: 2, filter });

/** What each thread installs at a restore: programs by name, with flags. */
function installed(
  filters: readonly Filter[],
  threads: readonly Thread[],
  first: ReadonlyMap<number, number>,
) {
  const names = new Map([
    [base, "base"],
    [app, "app"],
    [guardProgram, "guard"],
  ]);
  return threads.flatMap((thread) => {
    const index = first.get(thread.tid);
    const now = index === undefined ? thread : filtered(thread.tid, index);
    if (now.mode !== 2) return [];
    return chainOf(filters, now, "seccomp.img").map((at) => {
      const filter = filters[at];
      const name = [...names].find(([program]) => filter?.program.equals(program))?.[1];
      return `${thread.tid}: ${name} ${filter?.flags}`;
    });
  });
}

const cases: readonly [string, Filter[], Thread[], string[], number[]][] = [
  ["without filters", [], [none(1), none(2)], [`1: guard ${listener + tsync}`], [1]],
  [
    "whose threads have the same filters",
    [newFilter(app, tsync, undefined), newFilter(base, tsync, 0)],
    [filtered(1, 1), none(2)],
    [`1: guard ${listener + tsync}`, "1: base 1", "1: app 1"],
    [1],
  ],
  [
    "of which one thread has filters",
    [newFilter(base, 0, undefined)],
    [filtered(1, 0), none(2)],
    [`1: guard ${listener}`, "1: base 0", `2: guard ${listener}`],
    [1, 2],
  ],
  [
    "whose threads have different filters",
    [newFilter(base, 0, undefined), newFilter(app, 0, undefined), newFilter(base, 0, 1)],
    [filtered(1, 0), filtered(2, 2)],
    [`1: guard ${listener}`, "1: base 0", `2: guard ${listener}`, "2: base 0", "2: app 0"],
    [1, 2],
  ],
  [
    "that is guarded already",
    [newFilter(base, tsync, undefined), newFilter(guardProgram, tsync, 0)],
    [filtered(1, 1), none(2)],
    [`1: guard ${listener + tsync}`, "1: base 1"],
    [1],
  ],
  [
    "that is guarded already and logs",
    [newFilter(guardProgram, 2, undefined)],
    [filtered(1, 0)],
    [`1: guard ${listener + 2}`],
    [1],
  ],
  ["in strict mode, which has no such calls", [], [strict(1)], [], []],
];

describe("a process is guarded", () => {
  it.each(cases)("%s", (_what, filters, threads, expected, listeners) => {
    const result = guardChains(filters, [{ pid: 1, threads }]);
    expect(installed(result.filters, threads, result.first)).toEqual(expected);
    expect(result.guarded).toEqual([{ pid: 1, listeners }]);
    // What was there keeps its place.
    expect(result.filters.slice(0, filters.length).map(({ program }) => program)).toEqual(
      filters.map(({ program }) => program),
    );
  });

  it("and what others have of the guard is made idle, until they are guarded again", () => {
    const filters = [
      newFilter(base, 2, undefined),
      newFilter(guardProgram, 2, 0),
      newFilter(guardProgram, 0, 0),
    ];
    const [guarded, other] = [
      { pid: 1, threads: [filtered(1, 1)] },
      { pid: 2, threads: [filtered(2, 2), strict(3)] },
    ];
    const first = guardChains(filters, [guarded], [other]);
    expect(first.filters.map(({ program }) => program)).toEqual([base, guardProgram, idleProgram]);
    expect(readFilters(parseMessage(writeFilters([], first.filters), "image"), "image")).toMatchObject([
      { flags: 2 },
      { program: guardProgram, flags: 2 + listener },
      { program: idleProgram, flags: 0, next: 0 },
    ]);
    const second = guardChains(first.filters, [guarded, other]);
    expect(second.filters.map(({ program }) => program)).toEqual([base, guardProgram, guardProgram]);
    expect(second.first.size).toBe(0);
    // A filter that both have is a guard.
    const both = guardChains(filters, [guarded], [{ pid: 2, threads: [filtered(2, 1)] }]);
    expect(both.filters[1]).toMatchObject({ program: guardProgram, flags: 2 + listener });
  });

  it("is not, with filters that go round or are missing", () => {
    const round = [newFilter(base, 0, 1), newFilter(base, 0, 0)];
    const guard = (filters: Filter[], filter: number) =>
      guardChains(filters, [{ pid: 1, threads: [filtered(1, filter)] }]);
    expect(() => guard(round, 0)).toThrow(/damaged/);
    expect(() => guard(round, 5)).toThrow(/damaged/);
  });
});

describe("a dump", () => {
  let images: string;
  beforeEach(async () => {
    images = await mkdtemp(join(tmpdir(), "ramet-guard-"));
  });
  afterEach(() => rm(images, { recursive: true, force: true }));

  function core(fields: { machine?: number; state?: number; mode?: number; old?: boolean }): Buffer {
    const task = [
      numberField(1, fields.state ?? 1),
      textField(6, "name"),
      ...(fields.old === true ? [numberField(11, 2)] : []),
    ];
    const thread = [
      numberField(1, 0),
      ...(fields.mode === undefined ? [] : [numberField(11, fields.mode), numberField(12, 0)]),
      textField(13, "name"),
    ];
    return writeImage("core", [
      serializeMessage([
        numberField(1, fields.machine ?? 1),
        bytesField(3, serializeMessage(task)),
        bytesField(5, serializeMessage(thread)),
      ]),
    ]);
  }

  async function write(first: Buffer): Promise<void> {
    const tree = (pid: number, ...threads: number[]) =>
      serializeMessage([numberField(1, pid), ...threads.map((tid) => numberField(5, tid))]);
    await writeFile(join(images, "pstree.img"), writeImage("pstree", [tree(7, 7, 8), tree(9, 9)]));
    await writeFile(join(images, "mm-7.img"), "");
    await writeFile(join(images, "core-7.img"), first);
    await writeFile(join(images, "core-8.img"), core({}));
  }

  const guard = () => guardProcesses({ images }, AbortSignal.timeout(5000));

  async function state() {
    const name = "core-7.img";
    const [message = Buffer.alloc(0)] = readImage(await readFile(join(images, name)), "core", name);
    const [chain = Buffer.alloc(0)] = readImage(
      await readFile(join(images, "seccomp.img")),
      "seccomp",
      "seccomp.img",
    );
    return {
      thread: readThread(parseMessage(message, name), 7, name),
      filters: readFilters(parseMessage(chain, "seccomp.img"), "seccomp.img"),
    };
  }

  it("without filters gets an image of them; zombies are passed over", async () => {
    await write(core({}));
    expect(await guard()).toEqual([{ pid: 7, listeners: [7] }]);
    const { thread, filters } = await state();
    expect(thread).toEqual({ tid: 7, mode: 2, filter: 0 });
    expect(filters.map(({ program, flags, next }) => ({ program, flags, next }))).toEqual([
      { program: guardProgram, flags: 57, next: undefined },
    ]);
    expect((await readFile(join(images, "core-8.img"))).equals(core({}))).toBe(true);
  });

  it("guarded twice is guarded once", async () => {
    await write(core({}));
    await guard();
    const before = await state();
    expect(await guard()).toEqual([{ pid: 7, listeners: [7] }]);
    expect(await state()).toEqual(before);
  });

  it.each([
    ["of another machine", core({ machine: 3 }), /cannot be guarded/],
    ["of a CRIU that is too old", core({ old: true }), /too old/],
  ])("%s is refused", async (_what, first, message) => {
    await write(first);
    await expect(guard()).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringMatching(message),
    });
  });
});
