/** Fields of the guest protocol ("Field types"): little-endian integers, strings, lists. Pure. */
import { DomainError } from "../lib/errors.js";
import { misbehaved } from "./errors.js";

export interface FieldWriter {
  u8(value: number): FieldWriter;
  u16(value: number): FieldWriter;
  u32(value: number): FieldWriter;
  i32(value: number): FieldWriter;
  /** A whole number, or the bigint 2^64-1 where the protocol gives it a meaning. */
  u64(value: number | bigint): FieldWriter;
  str(value: string): FieldWriter;
  bytes(value: Uint8Array): FieldWriter;
  list(values: readonly string[]): FieldWriter;
  finish(): Buffer;
}

function checked(value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new DomainError("invalid_argument", `${value} is not a whole number from ${min} to ${max}`);
}

/** Writes fields one after the other. Values that the wire cannot hold are `invalid_argument`. */
export function createFieldWriter(): FieldWriter {
  const parts: Uint8Array[] = [];
  const number = (bytes: number, fill: (part: Buffer) => void): FieldWriter => {
    const part = Buffer.allocUnsafe(bytes);
    fill(part);
    parts.push(part);
    return writer;
  };
  const writer: FieldWriter = {
    u8: (value) => number(1, (part) => part.writeUInt8(checked(value, 0, 0xff))),
    u16: (value) => number(2, (part) => part.writeUInt16LE(checked(value, 0, 0xffff))),
    u32: (value) => number(4, (part) => part.writeUInt32LE(checked(value, 0, 0xffff_ffff))),
    i32: (value) => number(4, (part) => part.writeInt32LE(checked(value, -0x8000_0000, 0x7fff_ffff))),
    u64: (value) => {
      const big = typeof value === "bigint" ? value : BigInt(checked(value, 0, Number.MAX_SAFE_INTEGER));
      return number(8, (part) => part.writeBigUInt64LE(big));
    },
    str(value) {
      if (value.includes("\0")) {
        const shown = JSON.stringify(value.slice(0, 80));
        throw new DomainError("invalid_argument", `${shown} has a NUL character in it`);
      }
      return writer.bytes(Buffer.from(value, "utf8"));
    },
    bytes(value) {
      writer.u32(value.length);
      parts.push(value);
      return writer;
    },
    list(values) {
      writer.u32(values.length);
      for (const value of values) writer.str(value);
      return writer;
    },
    finish: () => Buffer.concat(parts),
  };
  return writer;
}

export interface FieldReader {
  u8(): number;
  u16(): number;
  u32(): number;
  i32(): number;
  /** Refuses numbers above 2^53-1. */
  u64(): number;
  /** For what a sandbox may set to anything, such as a sparse file's size: stops at 2^53-1. */
  u64Saturated(): number;
  i64(): bigint;
  /** Milliseconds since 1970, refused when no Date can hold them. */
  dateMs(): Date;
  /** Bytes that are no UTF-8 (file names may be anything) come back as U+FFFD. */
  str(): string;
  bytes(): Buffer;
  list(): string[];
  rest(): Buffer;
  /** Refuses bytes that are left over. */
  end(): void;
}

/** Reads fields of one payload; whatever does not fit is a broken protocol. Lengths never exceed the payload. */
export function createFieldReader(payload: Buffer): FieldReader {
  let at = 0;
  function take(bytes: number): number {
    if (bytes > payload.length - at) throw misbehaved("a payload shorter than its fields");
    const from = at;
    at += bytes;
    return from;
  }
  const bytes = (): Buffer => {
    const length = payload.readUInt32LE(take(4));
    const from = take(length);
    return payload.subarray(from, from + length);
  };
  const reader: FieldReader = {
    u8: () => payload.readUInt8(take(1)),
    u16: () => payload.readUInt16LE(take(2)),
    u32: () => payload.readUInt32LE(take(4)),
    i32: () => payload.readInt32LE(take(4)),
    u64() {
      const value = Number(payload.readBigUInt64LE(take(8)));
      if (value > Number.MAX_SAFE_INTEGER) throw misbehaved(`the number ${value}`);
      return value;
    },
    u64Saturated: () => Math.min(Number(payload.readBigUInt64LE(take(8))), Number.MAX_SAFE_INTEGER),
    i64: () => payload.readBigInt64LE(take(8)),
    dateMs() {
      const date = new Date(Number(payload.readBigInt64LE(take(8))));
      if (Number.isNaN(date.getTime())) throw misbehaved("a time that no calendar has");
      return date;
    },
    str: () => bytes().toString("utf8"),
    bytes,
    list() {
      const count = payload.readUInt32LE(take(4));
      // Every string takes at least its length field, so a count beyond the payload is refused before any work.
      if (count > (payload.length - at) / 4)
        throw misbehaved(`a list of ${count} strings in a short payload`);
      return Array.from({ length: count }, () => bytes().toString("utf8"));
    },
    rest: () => payload.subarray(take(payload.length - at)),
    end() {
      if (at !== payload.length) throw misbehaved(`${payload.length - at} bytes left over in a payload`);
    },
  };
  return reader;
}
