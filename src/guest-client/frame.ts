/** Frames of the guest protocol (docs/guest-protocol.md, "Frame"): pure, no I/O. */
import { misbehaved } from "./errors.js";

export const hostFrame = { request: 0x01, stdin: 0x02, stdinEof: 0x03, data: 0x04, dataEnd: 0x05 } as const;
export const guestFrame = {
  ok: 0x81,
  error: 0x82,
  output: 0x83,
  exit: 0x84,
  data: 0x85,
  end: 0x86,
  entry: 0x87,
  event: 0x88,
  process: 0x89,
} as const;

export type HostFrameType = (typeof hostFrame)[keyof typeof hostFrame];
export type GuestFrameType = (typeof guestFrame)[keyof typeof guestFrame];

export interface Frame {
  readonly type: GuestFrameType;
  readonly payload: Buffer;
}

export const headerBytes = 8;
/** Largest payload of a REQUEST. */
export const requestBytesMax = 1024 * 1024;
/** Largest payload of any other frame, both ways. */
export const payloadBytesMax = 64 * 1024;

const guestTypes: ReadonlySet<number> = new Set(Object.values(guestFrame));

function isGuestType(type: number): type is GuestFrameType {
  return guestTypes.has(type);
}

/** Header and payload in one buffer. The payload's length is the caller's to bound. */
export function encodeFrame(type: HostFrameType, payload: Uint8Array = new Uint8Array(0)): Buffer {
  return Buffer.concat([encodeHeader(type, payload.length), payload]);
}

/** For a payload that follows as it is, uncopied. */
export function encodeHeader(type: HostFrameType, length: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt32LE(length, 0);
  header.writeUInt32LE(type, 4);
  return header;
}

export interface FrameParser {
  push(chunk: Uint8Array): void;
  /** The next whole frame, if it has arrived. Throws at once for a header that no guest may send. */
  next(): Frame | undefined;
  /** Bytes that are held and not parsed yet. */
  bufferedBytes(): number;
  /** Takes the bytes after the last parsed frame, for operations in which framing ends. */
  takeRest(): Buffer;
}

/** Payloads below it are copied: else they would keep all that came with them in memory. */
const copiedBytesMax = 4096;

/** Parses what the guest sends. Holds what was pushed and nothing more; what was pushed is never written to. */
export function createFrameParser(): FrameParser {
  let held: Buffer = Buffer.alloc(0);
  let start = 0;
  let end = 0;

  /** Bytes of payloads that were given out stay where they are. */
  function makeRoom(bytes: number): void {
    if (end + bytes <= held.length) return;
    const target = Buffer.allocUnsafe(Math.max(end - start + bytes, 2 * (end - start), copiedBytesMax));
    held.copy(target, 0, start, end);
    held = target;
    end -= start;
    start = 0;
  }

  return {
    push(chunk) {
      if (start === end) {
        held = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
        start = 0;
        end = chunk.length;
        return;
      }
      makeRoom(chunk.length);
      held.set(chunk, end);
      end += chunk.length;
    },
    next() {
      if (end - start < headerBytes) return undefined;
      const { type, length } = readHeader(held, start);
      if (end - start < headerBytes + length) return undefined;
      const bytes = held.subarray(start + headerBytes, start + headerBytes + length);
      const payload = length <= copiedBytesMax ? Buffer.from(bytes) : bytes;
      start += headerBytes + length;
      return { type, payload };
    },
    bufferedBytes: () => end - start,
    takeRest() {
      const rest = Buffer.from(held.subarray(start, end));
      start = end;
      return rest;
    },
  };
}

function readHeader(bytes: Buffer, at: number): { type: GuestFrameType; length: number } {
  const length = bytes.readUInt32LE(at);
  const type = bytes.readUInt8(at + 4);
  const flags = bytes.readUInt8(at + 5);
  const reserved = bytes.readUInt16LE(at + 6);
  if (!isGuestType(type)) throw misbehaved(`unknown frame type 0x${type.toString(16)}`);
  if (flags !== 0 || reserved !== 0) throw misbehaved(`frame flags ${flags}, ${reserved} instead of 0`);
  if (length > payloadBytesMax) throw misbehaved(`frame of ${length} bytes; the limit is ${payloadBytesMax}`);
  return { type, length };
}
