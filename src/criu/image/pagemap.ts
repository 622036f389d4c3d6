/** Which pages `pages-N.img` has, one after the other: `pagemap-PID.img` (images/pagemap.proto). Pure. */
import { damaged } from "../damaged.js";
import { readImage, writeImage } from "./codec.js";
import {
  type Message,
  numberField,
  numberOf,
  parseMessage,
  requiredNumber,
  serializeMessage,
  withFields,
} from "./message.js";
import { pageBytes } from "./vma.js";

export interface Pagemap {
  /** Which `pages-N.img`. */
  readonly pagesId: number;
  readonly head: Message;
  readonly entries: readonly PagemapEntry[];
}

/** A run of pages. */
export interface PagemapEntry {
  readonly start: number;
  readonly end: number;
  /** In this dump's pages; else in a parent's, or still in the process. */
  readonly present: boolean;
  /** Where its first page is in the pages image, and for an absent one where it would be. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const flag = { parent: 1, present: 4 };
const field = { pagesId: 1, start: 1, pagesCompat: 2, inParent: 3, flags: 4, pages: 5 };
const pagesMax = 2 ** 40;

export function readPagemap(bytes: Buffer, name: string): Pagemap {
  const [first, ...others] = readImage(bytes, "pagemap", name);
  if (first === undefined) throw damaged(name, "it has no head");
  const head = parseMessage(first, name);
  const entries: PagemapEntry[] = [];
  let offset = 0;
  let end = 0;
  for (const bytes of others) {
    const entry = readEntry(bytes, offset, name);
    if (entry.start < end) throw damaged(name, "its pages are out of order");
    entries.push(entry);
    end = entry.end;
    if (entry.present) offset += entry.end - entry.start;
  }
  return { pagesId: requiredNumber(head, field.pagesId, name), head, entries };
}

export function writePagemap(
  pagemap: { readonly head: Message; readonly entries: readonly { readonly bytes: Uint8Array }[] },
  pagesId: number,
): Buffer {
  const head = serializeMessage(withFields(pagemap.head, numberField(field.pagesId, pagesId)));
  return writeImage("pagemap", [head, ...pagemap.entries.map(({ bytes }) => bytes)]);
}

/** How many bytes the pages image of these entries has. */
export function presentBytes(entries: readonly PagemapEntry[]): number {
  return entries.reduce((sum, entry) => (entry.present ? sum + entry.end - entry.start : sum), 0);
}

/** The part of a run between two addresses inside it. */
export function partOf(entry: PagemapEntry, start: number, end: number, name: string): PagemapEntry {
  if (start === entry.start && end === entry.end) return entry;
  const pages = (end - start) / pageBytes;
  const message = parseMessage(entry.bytes, name);
  // CRIU 4.2 writes 0 as the old count, since the new one holds more; older ones write the old one alone.
  const counts = [field.pagesCompat, field.pages]
    .filter((number) => (numberOf(message, number, name) ?? 0) > 0)
    .map((number) => numberField(number, pages));
  const bytes = serializeMessage(withFields(message, numberField(field.start, start), ...counts));
  const offset = entry.present ? entry.offset + start - entry.start : entry.offset;
  return { start, end, present: entry.present, offset, bytes };
}

function readEntry(bytes: Buffer, offset: number, name: string): PagemapEntry {
  const message = parseMessage(bytes, name);
  const start = requiredNumber(message, field.start, name);
  const pages = numberOf(message, field.pages, name) ?? requiredNumber(message, field.pagesCompat, name);
  const flags = numberOf(message, field.flags, name) ?? flag.present;
  const inParent = numberOf(message, field.inParent, name) === 1 || (flags & flag.parent) !== 0;
  if (start % pageBytes !== 0 || pages < 1 || pages > pagesMax)
    throw damaged(name, `it has ${pages} pages at ${start}`);
  const present = !inParent && (flags & flag.present) !== 0;
  return { start, end: start + pages * pageBytes, present, offset, bytes };
}
