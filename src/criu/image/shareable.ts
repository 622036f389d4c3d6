/**
 * Which mappings of a process may become private mappings of a memory file. Such a mapping is the same to the process
 * but for two things: advice that drops its pages brings the file's back, not zeros, and so does growing it. Pure.
 */
import { advice, has, mapFlags, protection, status, type Vma } from "./vma.js";

/** What is known of a mapping when it is decided. */
export interface Candidate {
  readonly vma: Vma;
  /** Path of the file that it maps. */
  readonly path?: string;
  /** How much of it is in this dump's pages. */
  readonly presentBytes: number;
  /** Some of its pages are in a parent's images, or still in the process. */
  readonly pagesElsewhere: boolean;
  /** Guard regions (MADV_GUARD_INSTALL) are inside. */
  readonly guarded: boolean;
}

export type Refusal =
  | "earlier"
  | "special"
  | "stack"
  | "shared"
  | "file"
  | "locked"
  | "hugetlb"
  | "unknown"
  | "advice"
  | "guarded"
  | "executable"
  | "elsewhere"
  | "small"
  | "large";

/** Below this, one more mapping of a file costs a restore more than reading the pages. */
export const presentBytesMin = 64 * 1024;
/** A sanitizer reserves terabytes; a file cannot be that long everywhere. */
export const mappingBytesMax = 256 * 2 ** 30;

const special = status.vsyscall | status.vdso | status.vvar | status.uprobes | status.socket | status.aioRing;
const shared = status.fileShared | status.anonShared | status.sysvIpc | status.memfd;
const ordinary = status.regular | status.anonPrivate | status.heap;
const ordinaryFlags = mapFlags.private | mapFlags.anonymous | mapFlags.noReserve;

/**
 * Advice that means the same on a private file mapping, and that madvise(2) takes there. Huge pages are asked for by
 * numpy and by Go for just the bulk that is worth sharing: sharing it wins, and its pages are small ones from then on.
 * What is left out of core dumps is in CRIU's images as anything else.
 */
const harmlessAdvice: ReadonlySet<number> = new Set([1, 2, 10, 12, advice.hugePage, 15, advice.dontDump]);

/** In this order; the first that holds is the reason. */
const refusals: readonly (readonly [Refusal, (candidate: Candidate, memoryPath: string) => boolean])[] = [
  // A memory file of an earlier generation. Only what was changed since is in the dump: fold.ts says what becomes of it.
  ["earlier", isEarlier],
  ["special", ({ vma }) => has(vma.status, special) || !has(vma.status, status.regular)],
  // The kernel makes no file grow down.
  [
    "stack",
    ({ vma }) => has(vma.status, status.stack | status.shadowStack) || has(vma.flags, mapFlags.growsDown),
  ],
  ["shared", ({ vma }) => has(vma.status, shared) || (vma.flags & mapFlags.typeMask) !== mapFlags.private],
  ["file", ({ vma }) => has(vma.status, status.filePrivate) || !has(vma.flags, mapFlags.anonymous)],
  // It is to be in memory of its own, and each clone would copy all of it at once.
  ["locked", ({ vma }) => has(vma.flags, mapFlags.locked)],
  ["hugetlb", ({ vma }) => has(vma.flags, mapFlags.hugeTlb)],
  ["unknown", ({ vma }) => hasOther(vma.status, ordinary) || hasOther(vma.flags, ordinaryFlags)],
  // Only an anonymous mapping can be wiped at a fork, and what is not known here might be the same.
  ["advice", ({ vma }) => [...vma.advised].some((number) => !harmlessAdvice.has(number))],
  // Below a guard that is taken away, an anonymous mapping has zeros and a file's has the file.
  ["guarded", ({ guarded }) => guarded],
  // Compiled code: little, often dropped and made anew, and a mount that is noexec could not have it.
  ["executable", ({ vma }) => has(vma.prot, protection.execute)],
  ["elsewhere", ({ pagesElsewhere }) => pagesElsewhere],
  ["small", ({ presentBytes }) => presentBytes < presentBytesMin],
  ["large", ({ vma }) => vma.end - vma.start > mappingBytesMax],
];

/** Why the mapping stays as it is; undefined if it can be shared. */
export function refusalOf(candidate: Candidate, memoryPath: string): Refusal | undefined {
  return refusals.find(([, holds]) => holds(candidate, memoryPath))?.[0];
}

/**
 * Whether a mapping of an earlier memory file may become one of another: unless it would not be shared now, were it
 * anonymous still.
 */
export function isFoldable(candidate: Candidate, memoryPath: string): boolean {
  if (!isEarlier(candidate, memoryPath)) return false;
  const { path: _, vma, ...rest } = candidate;
  const anonymous = {
    ...vma,
    flags: vma.flags | mapFlags.anonymous,
    status: (vma.status & ~status.filePrivate) | status.anonPrivate,
  };
  const reason = refusalOf({ ...rest, vma: anonymous }, memoryPath);
  return reason === undefined || reason === "small";
}

function isEarlier({ vma, path }: Candidate, memoryPath: string): boolean {
  return has(vma.status, status.filePrivate) && path?.startsWith(`${memoryPath}/`) === true;
}

function hasOther(bits: number, known: number): boolean {
  return (bits & ~known) !== 0;
}
