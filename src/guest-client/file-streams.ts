/** File operations that carry many frames: contents, directory trees, and changes as they happen. */
import { DomainError } from "../lib/errors.js";
import { bytesPassed } from "../lib/passing-bytes.js";
import { type Call, type GuestAddress, openCall } from "./call.js";
import { disconnected, guestErrorOf, misbehaved } from "./errors.js";
import {
  type FileEntry,
  type ListEnd,
  readEntry,
  readListEnd,
  readRawReply,
  readWatchEvent,
  readWriteEnd,
  type WatchEvent,
  type WriteEnd,
} from "./file-replies.js";
import {
  type ByteRange,
  type FilePath,
  listDirRequest,
  readRequest,
  type WriteOptions,
  watchRequest,
  writeRequest,
} from "./file-requests.js";
import { shown } from "./files.js";
import { guestFrame, hostFrame } from "./frame.js";
import { decode, nothing } from "./replies.js";

export interface FileReading {
  readonly entry: FileEntry;
  /** For one reader; leaving it early closes the connection. */
  readonly data: AsyncIterable<Buffer>;
  /** For when `data` is not read. */
  close(): void;
}

/** Reads a regular file, from `offset` and at most `length` bytes (default: to the end). */
export async function readFile(
  address: GuestAddress,
  file: FilePath,
  range: ByteRange,
  signal: AbortSignal,
): Promise<FileReading> {
  const raw = await openRaw(address, file, range, signal);
  if (raw !== undefined) return raw;
  const what = `cannot read ${shown(file)}`;
  const call = await openCall(address, { request: readRequest("read", file, range), what }, signal);
  const entry = await call.expect(guestFrame.ok, readEntry, address.workMs);
  const data = readPieces(call, range.length ?? Number.POSITIVE_INFINITY, address.workMs, what);
  return { entry, data, close: call.close };
}

/**
 * Nothing if the guest is an older one, and for a file that has another size than it says: one of /proc is not empty, and
 * one of sysfs shorter.
 */
async function openRaw(
  address: GuestAddress,
  file: FilePath,
  range: ByteRange,
  signal: AbortSignal,
): Promise<FileReading | undefined> {
  const what = `cannot read ${shown(file)}`;
  const request = readRequest("readRaw", file, range);
  const call = await openCall(address, { request, what, isBulk: true }, signal);
  try {
    const { bytes, entry } = await call.expect(guestFrame.ok, readRawReply, address.workMs);
    if (entry.sizeBytes > 0 && bytes <= (range.length ?? Number.POSITIVE_INFINITY))
      return { entry, data: readBytes(call, bytes, address.workMs, what), close: call.close };
    call.close();
    if (entry.sizeBytes > 0)
      throw misbehaved(`a promise of ${bytes} bytes where ${range.length} were asked for`);
  } catch (thrown) {
    if (guestErrorOf(thrown)?.code !== "unsupported") throw thrown;
  }
  return undefined;
}

async function* readBytes(call: Call, bytes: number, withinMs: number, what: string): AsyncGenerator<Buffer> {
  let left = bytes;
  try {
    while (left > 0) {
      const piece = await call.nextBytes(withinMs);
      if (piece === undefined) throw endedEarly(what, bytes - left, bytes);
      left -= piece.length;
      if (left < 0) throw misbehaved(`more than the ${bytes} bytes that it promised`);
      bytesPassed(piece.length);
      yield piece;
    }
  } finally {
    call.close();
  }
}

/** Either is possible; a dump in the middle ends a reading as well. */
function endedEarly(what: string, bytes: number, promised: number): DomainError {
  return new DomainError("unavailable", `${what}: it ended after ${bytes} of ${promised} bytes`, {
    hint: "the file got shorter, or the sandbox's guest went away; read it again",
  });
}

async function* readPieces(
  call: Call,
  lengthMax: number,
  withinMs: number,
  what: string,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  try {
    for (;;) {
      const frame = await call.next(withinMs);
      if (frame === undefined) throw disconnected(what);
      if (frame.type === guestFrame.end) {
        const told = decode(frame.payload, (reader) => reader.u64());
        if (told !== bytes) throw misbehaved(`a file of ${bytes} bytes that says it has ${told}`);
        return;
      }
      if (frame.type !== guestFrame.data) throw misbehaved("a frame other than data in a file");
      bytes += frame.payload.length;
      bytesPassed(frame.payload.length);
      if (bytes > lengthMax) throw misbehaved(`more than the ${lengthMax} bytes asked for`);
      yield frame.payload;
    }
  } finally {
    call.close();
  }
}

/**
 * Writes a regular file. When the source of the data throws, the connection ends before the file does: with `atomic`
 * nothing changes then, else what came so far stays.
 */
export async function writeFile(
  address: GuestAddress,
  file: FilePath & { readonly data: AsyncIterable<Uint8Array> | Iterable<Uint8Array> },
  options: WriteOptions,
  signal: AbortSignal,
): Promise<WriteEnd> {
  const operation = { request: writeRequest(file, options), what: `cannot write ${shown(file)}` };
  const call = await openCall(address, operation, signal);
  const sending = { withinMs: address.workMs, untilNews: true };
  try {
    await call.expect(guestFrame.ok, nothing, address.workMs);
    for await (const piece of file.data) {
      bytesPassed(piece.length);
      if (piece.length > 0 && !call.hasNews()) await call.send(hostFrame.data, piece, sending);
      // Before the end of the data the guest can only refuse; the answer below says why.
      if (call.hasNews()) break;
    }
    if (!call.hasNews()) await call.send(hostFrame.dataEnd, undefined, sending);
    return await call.expect(guestFrame.end, readWriteEnd, address.workMs);
  } finally {
    call.close();
  }
}

/** Most entries that one listing gives; the protocol's own limit. */
export const entriesMax = 100_000;

/**
 * Lists what is below a directory, `depth` levels deep (1 to 64): a directory before what it holds, unsorted.
 * Returns the end of the list: what was skipped, and whether it was cut short.
 */
export async function* listDirectory(
  address: GuestAddress,
  file: FilePath,
  options: { readonly depth?: number; readonly entriesMax?: number },
  signal: AbortSignal,
): AsyncGenerator<FileEntry, ListEnd> {
  const what = `cannot list ${shown(file)}`;
  const request = listDirRequest(file, options.depth ?? 1, options.entriesMax ?? entriesMax);
  const call = await openCall(address, { request, what }, signal);
  try {
    await call.expect(guestFrame.ok, nothing, address.workMs);
    for (let count = 0; ; count++) {
      const frame = await call.next(address.workMs);
      if (frame === undefined) throw disconnected(what);
      if (frame.type === guestFrame.end) return decode(frame.payload, readListEnd);
      if (frame.type !== guestFrame.entry) throw misbehaved("a frame other than an entry in a directory");
      if (count >= entriesMax) throw misbehaved(`a directory of more than ${entriesMax} entries`);
      yield decode(frame.payload, readEntry);
    }
  } finally {
    call.close();
  }
}

export interface FileWatch {
  /** For one reader. Ends after `gone`; throws when the guest closes, as before a dump. */
  readonly events: AsyncIterable<WatchEvent>;
  close(): void;
}

/** Watches a file or directory; once this resolves no change is missed without an `overflow` event. */
export async function watch(
  address: GuestAddress,
  file: FilePath,
  options: { readonly recursive?: boolean },
  signal: AbortSignal,
): Promise<FileWatch> {
  const what = `cannot watch ${shown(file)}`;
  const request = watchRequest(file, options.recursive ?? false);
  const call = await openCall(address, { request, what }, signal);
  await call.expect(guestFrame.ok, nothing, address.workMs);
  return { events: readEvents(call, what), close: call.close };
}

async function* readEvents(call: Call, what: string): AsyncGenerator<WatchEvent> {
  try {
    for (;;) {
      const frame = await call.next();
      if (frame === undefined) throw disconnected(what);
      if (frame.type === guestFrame.end) return decode(frame.payload, nothing);
      if (frame.type !== guestFrame.event) throw misbehaved("a frame other than an event in a watch");
      yield decode(frame.payload, readWatchEvent);
    }
  } finally {
    call.close();
  }
}
