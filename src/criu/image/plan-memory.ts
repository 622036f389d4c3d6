/** What moves from a process's pages into its memory file, and what is left: as data. Pure. */
import { damaged } from "../damaged.js";
import { type Piece, planFolds } from "./fold.js";
import { type PagemapEntry, partOf, presentBytes } from "./pagemap.js";
import { type Candidate, type Refusal, refusalOf } from "./shareable.js";
import { has, status, type Vma } from "./vma.js";

export interface MemoryInput {
  readonly vmas: readonly Vma[];
  readonly entries: readonly PagemapEntry[];
  /** Paths of mapped files, by id. */
  readonly paths: ReadonlyMap<number, string>;
  /** Directory of the memory files. */
  readonly memoryPath: string;
  /** The pages image can become the memory file: both are to be on one file system. */
  readonly canLink: boolean;
  /** Name of the image, for errors. */
  readonly name: string;
}

export interface MemoryPlan {
  /**
   * The pages image becomes the memory file, and mappings that are in it whole need no copy. The others are behind it,
   * with their holes. What is kept stays in it unused, as do the pages that were copied.
   */
  readonly linked: boolean;
  /** Parts of mappings to make ones of the memory file, in order: of which of `vmas`, and from where in the file. */
  readonly mapped: readonly Area[];
  /** The memory file covers its mappings whole, so that what lies beyond its last page reads as zeros. */
  readonly fileBytes: number;
  /** From the pages image into the memory file, by copying. */
  readonly moved: readonly Run[];
  /** Also without copying. */
  readonly movedBytes: number;
  /** From earlier memory files into this one: what is mapped anew and was not changed. */
  readonly folded: readonly FoldedRun[];
  /** Files that it still maps, by id. */
  readonly fileIds: ReadonlySet<number>;
  /** What the page map has left. Offsets are those of the old pages image. */
  readonly kept: readonly PagemapEntry[];
  readonly keptBytes: number;
  /** Why the other mappings stay. */
  readonly refusals: readonly (Refusal | undefined)[];
}

export interface Run {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

export interface FoldedRun extends Run {
  readonly fileId: number;
}

export interface Area {
  readonly index: number;
  readonly start: number;
  readonly end: number;
  readonly offset: number;
}

/** ext4 ends at 16 TiB. */
const fileBytesMax = 2 ** 42;

export function planMemory(input: MemoryInput): MemoryPlan {
  const { entries, name, memoryPath } = input;
  const candidates = findCandidates(input);
  const refusals = candidates.map((candidate) => candidate && refusalOf(candidate, memoryPath));
  const chosen = candidates.flatMap((candidate, index): Piece[] => {
    if (candidate === undefined || refusals[index] !== undefined) return [];
    const { vma, presentBytes } = candidate;
    return [{ index, start: vma.start, end: vma.end, presentBytes }];
  });
  const folds = planFolds({ candidates, entries, memoryPath, hasFile: chosen.length > 0 });
  const pieces = [...chosen, ...folds].sort((a, b) => a.start - b.start);
  const { linked, areas, fileBytes } = layOut(input, pieces);
  const cut = cutEntries(entries, areas, name);
  // CRIU takes it that a page map has an entry, as the page map of a process with a stack does.
  if (cut.kept.length === 0 && areas.length > 0) return keepAll(input, refusals);
  const moved = linked ? cut.moved.filter(({ from, to }) => from !== to) : cut.moved;
  const folded = foldedRuns(input, areas);
  return {
    linked,
    mapped: areas,
    fileBytes,
    ...cut,
    moved,
    folded,
    fileIds: filesOf(input, areas),
    refusals,
  };
}

/** Everything stays where it is. */
export function keepAll(input: MemoryInput, refusals: MemoryPlan["refusals"]): MemoryPlan {
  const kept = input.entries;
  const nothing = { linked: false, mapped: [], fileBytes: 0, moved: [], movedBytes: 0, folded: [] };
  return { ...nothing, kept, keptBytes: presentBytes(kept), fileIds: filesOf(input, []), refusals };
}

/** Of mappings that do not become ones of the new file whole. */
function filesOf({ vmas }: MemoryInput, areas: readonly Area[]): Set<number> {
  const left = vmas.map(({ start, end }) => end - start);
  for (const { index, start, end } of areas) left[index] = (left[index] ?? 0) - (end - start);
  return new Set(
    vmas.flatMap(({ fileId }, index) => (fileId === undefined || left[index] === 0 ? [] : [fileId])),
  );
}

/** What the dump does not have of areas that were an earlier file's. */
function foldedRuns({ vmas, entries }: MemoryInput, areas: readonly Area[]): FoldedRun[] {
  const runs: FoldedRun[] = [];
  let at = 0;
  for (const { index, start, end, offset } of areas) {
    const vma = vmas[index];
    if (vma?.fileId === undefined) continue;
    const { fileId } = vma;
    const add = (from: number, to: number) => {
      if (from >= to) return;
      runs.push({ fileId, from: vma.offset + from - vma.start, to: offset + from - start, bytes: to - from });
    };
    let done = start;
    while ((entries[at]?.end ?? Number.POSITIVE_INFINITY) <= start) at++;
    for (let next = at; ; next++) {
      const entry = entries[next];
      if (entry === undefined || entry.start >= end) break;
      add(done, Math.min(entry.start, end));
      done = Math.max(done, entry.end);
    }
    add(done, end);
  }
  return runs;
}

/** Guard regions are listed as mappings of their own, after all others; they are no candidates. */
function findCandidates({ vmas, entries, paths, name }: MemoryInput): (Candidate | undefined)[] {
  const guards = vmas.filter((vma) => has(vma.status, status.guard));
  const pagesIn = pageCounter(entries);
  let end = 0;
  return vmas.map((vma) => {
    if (has(vma.status, status.guard)) return undefined;
    if (vma.start < end) throw damaged(name, "its mappings are out of order");
    end = vma.end;
    const path = vma.fileId === undefined ? undefined : paths.get(vma.fileId);
    return {
      vma,
      ...pagesIn(vma),
      guarded: guards.some((guard) => guard.start < vma.end && guard.end > vma.start),
      ...(path === undefined ? {} : { path }),
    };
  });
}

/** Tells of each mapping, asked in order, how much of it the page map has. */
function pageCounter(entries: readonly PagemapEntry[]) {
  let at = 0;
  return ({ start, end }: Vma): Pick<Candidate, "presentBytes" | "pagesElsewhere"> => {
    let presentBytes = 0;
    let pagesElsewhere = false;
    for (let entry = entries[at]; entry !== undefined && entry.start < end; entry = entries[at]) {
      const bytes = Math.max(0, Math.min(entry.end, end) - Math.max(entry.start, start));
      if (entry.present) presentBytes += bytes;
      else pagesElsewhere ||= bytes > 0;
      // The rest of it is in the next mapping.
      if (entry.end > end) break;
      at++;
    }
    return { presentBytes, pagesElsewhere };
  };
}

/**
 * One behind the other: neighbours in memory are neighbours in the file, and the kernel can join them again. Where most
 * of the pages are those of whole mappings, these stay where they are.
 */
function layOut({ entries, canLink }: MemoryInput, pieces: readonly Piece[]) {
  const isWhole = ({ start, end, presentBytes }: Piece) => presentBytes === end - start;
  const pagesBytes = presentBytes(entries);
  const wholeBytes = sumOf(pieces.filter(isWhole).map((piece) => piece.presentBytes));
  const linked = canLink && 2 * wholeBytes >= pagesBytes;
  const offsetOf = offsetFinder(entries);
  let fileBytes = linked ? pagesBytes : 0;
  const areas = pieces.flatMap((piece): Area[] => {
    const { index, start, end } = piece;
    if (fileBytes + end - start > fileBytesMax) return [];
    if (linked && isWhole(piece)) return [{ index, start, end, offset: offsetOf(start) }];
    const offset = fileBytes;
    fileBytes += end - start;
    return [{ index, start, end, offset }];
  });
  return { linked: linked && areas.length > 0, areas, fileBytes };
}

/** Tells where a page is in the pages image, of pages asked in order. */
function offsetFinder(entries: readonly PagemapEntry[]) {
  let at = 0;
  return (address: number): number => {
    while ((entries[at]?.end ?? Number.POSITIVE_INFINITY) <= address) at++;
    const entry = entries[at];
    return entry === undefined ? 0 : entry.offset + address - entry.start;
  };
}

type Cut = Pick<MemoryPlan, "moved" | "movedBytes" | "kept" | "keptBytes">;

/** An entry can span mappings: it is cut where one that moves begins or ends, and nowhere else. */
function cutEntries(entries: readonly PagemapEntry[], areas: readonly Area[], name: string): Cut {
  const moved: Run[] = [];
  const kept: PagemapEntry[] = [];
  let at = 0;
  for (const entry of entries) {
    while ((areas[at]?.end ?? Number.POSITIVE_INFINITY) <= entry.start) at++;
    let done = entry.start;
    for (let next = at; ; next++) {
      const area = areas[next];
      if (area === undefined || area.start >= entry.end) break;
      const start = Math.max(area.start, entry.start);
      const end = Math.min(area.end, entry.end);
      if (start > done) kept.push(partOf(entry, done, start, name));
      append(moved, {
        from: entry.offset + start - entry.start,
        to: area.offset + start - area.start,
        bytes: end - start,
      });
      done = end;
    }
    if (done < entry.end) kept.push(partOf(entry, done, entry.end, name));
  }
  return {
    moved,
    movedBytes: sumOf(moved.map(({ bytes }) => bytes)),
    kept,
    keptBytes: presentBytes(kept),
  };
}

function append(runs: Run[], run: Run): void {
  const last = runs.at(-1);
  if (last !== undefined && last.from + last.bytes === run.from && last.to + last.bytes === run.to)
    runs[runs.length - 1] = { ...last, bytes: last.bytes + run.bytes };
  else runs.push(run);
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

/** Where what is kept goes, in the new pages image. */
export function keptRuns(kept: readonly PagemapEntry[]): Run[] {
  const runs: Run[] = [];
  let to = 0;
  for (const { present, offset, start, end } of kept) {
    if (!present) continue;
    append(runs, { from: offset, to, bytes: end - start });
    to += end - start;
  }
  return runs;
}
