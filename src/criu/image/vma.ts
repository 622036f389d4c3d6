/** A mapping, as `mm-PID.img` describes it (images/vma.proto, criu/include/image.h). Pure. */
import { damaged } from "../damaged.js";
import {
  type Message,
  numberField,
  numberOf,
  parseMessage,
  requiredNumber,
  serializeMessage,
  withFields,
} from "./message.js";

export const pageBytes = 4096;

/** Bits of `status`: what CRIU made of the mapping. */
export const status = {
  regular: 2 ** 0,
  stack: 2 ** 1,
  vsyscall: 2 ** 2,
  vdso: 2 ** 3,
  heap: 2 ** 5,
  filePrivate: 2 ** 6,
  fileShared: 2 ** 7,
  anonShared: 2 ** 8,
  anonPrivate: 2 ** 9,
  sysvIpc: 2 ** 10,
  socket: 2 ** 11,
  vvar: 2 ** 12,
  aioRing: 2 ** 13,
  memfd: 2 ** 14,
  shadowStack: 2 ** 15,
  guard: 2 ** 16,
  uprobes: 2 ** 17,
} as const;

/** Bits of `flags`, as mmap(2) on x86-64 takes them. */
export const mapFlags = {
  typeMask: 0x0f,
  private: 0x02,
  anonymous: 0x20,
  growsDown: 0x100,
  locked: 0x2000,
  noReserve: 0x4000,
  hugeTlb: 0x40000,
} as const;

export const protection = { read: 1, write: 2, execute: 4 } as const;

/** Numbers of advice to madvise(2); `madv` has the bit of each that was given. */
export const advice = { dontFork: 10, hugePage: 14, dontDump: 16, wipeOnFork: 18 } as const;

export interface Vma {
  readonly start: number;
  readonly end: number;
  readonly prot: number;
  readonly flags: number;
  readonly status: number;
  readonly advised: ReadonlySet<number>;
  /** Of the file in `files.img`, where one is mapped. */
  readonly fileId: number | undefined;
  /** Where it begins in that file. */
  readonly offset: number;
}

const field = { start: 1, end: 2, pgoff: 3, shmid: 4, prot: 5, flags: 6, status: 7, madv: 9, fdflags: 10 };

export function parseVma(bytes: Uint8Array, name: string): Vma {
  const message = parseMessage(bytes, name);
  const number = (of: number) => requiredNumber(message, of, name);
  const bits = number(field.status);
  const vma = {
    start: number(field.start),
    end: number(field.end),
    prot: number(field.prot),
    flags: number(field.flags),
    status: bits,
    advised: bitsOf(numberOf(message, field.madv, name) ?? 0),
    fileId: has(bits, status.filePrivate | status.fileShared) ? number(field.shmid) : undefined,
    offset: number(field.pgoff),
  };
  if (vma.start % pageBytes !== 0 || vma.end % pageBytes !== 0 || vma.end <= vma.start)
    throw damaged(name, `a mapping goes from ${vma.start} to ${vma.end}`);
  return vma;
}

/** The mapping made a private one of a file: CRIU maps the file there and goes on as with any other. */
export function mapFile(bytes: Uint8Array, file: { id: number; offset: number }, name: string): Buffer {
  const message: Message = parseMessage(bytes, name);
  const { flags } = parseVma(bytes, name);
  return serializeMessage(
    withFields(
      message,
      numberField(field.pgoff, file.offset),
      numberField(field.shmid, file.id),
      numberField(field.flags, flags - (flags & mapFlags.anonymous)),
      numberField(field.status, status.regular + status.filePrivate),
      // O_RDONLY is enough for a private mapping, also for a writable one.
      numberField(field.fdflags, 0),
    ),
  );
}

/** The mapping, of which areas become ones of a file, and what is between them stays as it is. */
export function mapAreas(
  bytes: Uint8Array,
  areas: readonly { readonly start: number; readonly end: number; readonly offset: number }[],
  fileId: number,
  name: string,
): Buffer[] {
  const { start, end } = parseVma(bytes, name);
  const parts: Buffer[] = [];
  let done = start;
  for (const area of areas) {
    if (area.start > done) parts.push(partOfVma(bytes, done, area.start, name));
    const part = partOfVma(bytes, area.start, area.end, name);
    parts.push(mapFile(part, { id: fileId, offset: area.offset }, name));
    done = area.end;
  }
  if (done < end) parts.push(partOfVma(bytes, done, end, name));
  return parts;
}

function partOfVma(bytes: Uint8Array, start: number, end: number, name: string): Buffer {
  const vma = parseVma(bytes, name);
  const fields = [numberField(field.start, start), numberField(field.end, end)];
  if (vma.fileId !== undefined) fields.push(numberField(field.pgoff, vma.offset + start - vma.start));
  return serializeMessage(withFields(parseMessage(bytes, name), ...fields));
}

export function has(bits: number, some: number): boolean {
  return (bits & some) !== 0;
}

function bitsOf(word: number): Set<number> {
  const bits = new Set<number>();
  for (let bit = 0; word > 0; bit++, word = Math.floor(word / 2)) if (word % 2 === 1) bits.add(bit);
  return bits;
}
