/**
 * Which parts of mappings of earlier memory files become ones of this dump's file. Pure.
 *
 * What a process has changed since is in the dump, and would be read by each restore, had by each clone for itself and
 * dumped again by every generation after it. And each generation may add a file. So where enough was changed, that
 * part of memory moves, changed or not; and when there are too many files, those with little memory are given up.
 */
import type { PagemapEntry } from "./pagemap.js";
import { type Candidate, isFoldable, presentBytesMin } from "./shareable.js";

export interface Piece {
  /** Which of the mappings. */
  readonly index: number;
  readonly start: number;
  readonly end: number;
  /** How much of it the dump has. */
  readonly presentBytes: number;
}

/** So many files a process maps at most, this dump's among them, of what may be folded. */
export const filesMax = 8;
/** From so much on a granule moves: two clones that read it take longer than copying the rest. */
const changedPart = 1 / 8;
export const granuleBytesMin = 256 * 1024;
/** Of all that a process maps from earlier files: into no more mappings than this it is split. */
const granulesMax = 512;
/** A process with more is not split further. The kernel allows 65,530 (vm.max_map_count). */
export const mappingsMax = 30_000;
/** No address is higher. */
const everything = 2 ** 57;

export interface FoldInput {
  readonly candidates: readonly (Candidate | undefined)[];
  readonly entries: readonly PagemapEntry[];
  readonly memoryPath: string;
  /** The process gets a memory file in any case. */
  readonly hasFile: boolean;
}

/** In the order of their addresses. */
export function planFolds(input: FoldInput): Piece[] {
  const foldable = input.candidates.flatMap((candidate, index) =>
    candidate !== undefined && isFoldable(candidate, input.memoryPath) ? [{ index, ...candidate }] : [],
  );
  const changed = changedPieces(foldable, input);
  if (changed.length === 0 && !input.hasFile) return [];
  const given = filesToGiveUp(foldable, changed, input);
  const isGivenUp = ({ vma }: Candidate) => vma.fileId !== undefined && given.has(vma.fileId);
  const whole = foldable
    .filter(isGivenUp)
    .map(({ index, vma: { start, end }, presentBytes }): Piece => ({ index, start, end, presentBytes }));
  const wholly = new Set(whole.map(({ index }) => index));
  return [...changed.filter(({ index }) => !wholly.has(index)), ...whole].sort((a, b) => a.start - b.start);
}

type Foldable = Candidate & { readonly index: number };

/** Granules are at multiples of their size, so that one generation cuts where others have. */
function changedPieces(foldable: readonly Foldable[], { candidates, entries }: FoldInput): Piece[] {
  const mappedBytes = foldable.reduce((sum, { vma }) => sum + vma.end - vma.start, 0);
  let granule = granuleBytesMin;
  while (granule * granulesMax < mappedBytes) granule *= 2;
  if (candidates.length > mappingsMax) granule = everything;
  const pieces: Piece[] = [];
  let at = 0;
  for (const { index, vma } of foldable) {
    while ((entries[at]?.end ?? Number.POSITIVE_INFINITY) <= vma.start) at++;
    const found: Piece[] = [];
    for (let next = at; (entries[next]?.start ?? Number.POSITIVE_INFINITY) < vma.end; next++) {
      const entry = entries[next];
      if (entry !== undefined) countIn(found, { index, vma, entry, granule });
    }
    pieces.push(
      ...joined(found.filter(({ start, end, presentBytes }) => presentBytes >= (end - start) * changedPart)),
    );
  }
  return pieces.filter(({ presentBytes }) => presentBytes >= presentBytesMin);
}

interface Counting {
  readonly index: number;
  readonly vma: Candidate["vma"];
  readonly entry: PagemapEntry;
  readonly granule: number;
}

function countIn(found: Piece[], { index, vma, entry, granule }: Counting): void {
  const end = Math.min(entry.end, vma.end);
  for (let from = Math.max(entry.start, vma.start); from < end; ) {
    const start = Math.floor(from / granule) * granule;
    const to = Math.min(start + granule, end);
    const last = found.at(-1);
    const sofar = last !== undefined && last.end > from ? found.pop()?.presentBytes : undefined;
    found.push({
      index,
      start: Math.max(start, vma.start),
      end: Math.min(start + granule, vma.end),
      presentBytes: (sofar ?? 0) + to - from,
    });
    from = to;
  }
}

const isFull = ({ start, end, presentBytes }: Piece) => presentBytes === end - start;

/** Neighbours; but those that are in the dump whole stay apart from others, because they need no copy. */
function joined(pieces: readonly Piece[]): Piece[] {
  const joint: Piece[] = [];
  for (const piece of pieces) {
    const last = joint.at(-1);
    if (last !== undefined && last.end === piece.start && isFull(last) === isFull(piece))
      joint[joint.length - 1] = {
        ...last,
        end: piece.end,
        presentBytes: last.presentBytes + piece.presentBytes,
      };
    else joint.push(piece);
  }
  return joint;
}

/** Half of the files are left when there are too many: folding is for several generations then. */
function filesToGiveUp(
  foldable: readonly Foldable[],
  changed: readonly Piece[],
  { candidates }: FoldInput,
): Set<number> {
  const left = new Map<number, number>();
  const add = (fileId: number | undefined, bytes: number) => {
    if (fileId !== undefined) left.set(fileId, (left.get(fileId) ?? 0) + bytes);
  };
  for (const { vma } of foldable) add(vma.fileId, vma.end - vma.start);
  for (const { index, start, end } of changed) add(candidates[index]?.vma.fileId, start - end);
  const files = [...left].filter(([, bytes]) => bytes > 0).sort(([, a], [, b]) => b - a);
  return new Set(files.length < filesMax ? [] : files.slice(filesMax / 2).map(([fileId]) => fileId));
}
