/**
 * The few things that are read out of CRIU's images: is it an inventory of a format we know, and what did the dump
 * cost. Layouts are CRIU's (criu/include/magic.h, images/inventory.proto, images/stats.proto). Pure.
 */
import { BinaryReader } from "google-protobuf";
import { damaged } from "./damaged.js";

const inventoryMagic = 0x58313116;
const serviceMagic = 0x55105940;
const statsMagic = 0x57093306;
/** CRTOOLS_IMAGES_V1_1, what CRIU writes since 2014. */
const imagesVersion = 2;
/** Far above what either image has. */
const imageBytesMax = 1024 * 1024;

/** `stats-dump`: what a dump took. Times are in microseconds, pages are of the machine's size. */
export interface DumpStats {
  readonly freezingUs: number;
  readonly frozenUs: number;
  readonly memoryDumpUs: number;
  readonly memoryWriteUs: number;
  readonly pagesScanned: number;
  /** Private pages in the images. */
  readonly pagesWritten: number;
  /** Pages of shared memory in the images. */
  readonly sharedPagesWritten: number;
}

/** Checks that `inventory.img` is one that this CRIU restores. Fails with `failed_precondition`. */
export function checkInventory(bytes: Buffer): void {
  const name = "inventory.img";
  const fields = readVarints(messageAfter(bytes, [inventoryMagic], name), name);
  const version = fields.get(1);
  if (version !== imagesVersion)
    throw damaged(name, `its format is ${version ?? "missing"}, not ${imagesVersion}`);
}

/** Reads `stats-dump`. Fails with `failed_precondition`. */
export function readDumpStats(bytes: Buffer): DumpStats {
  const name = "stats-dump";
  const message = messageAfter(bytes, [serviceMagic, statsMagic], name);
  const fields = readVarints(submessage(message, 1, name), name);
  const value = (field: number) => fields.get(field) ?? 0;
  return {
    freezingUs: value(1),
    frozenUs: value(2),
    memoryDumpUs: value(3),
    memoryWriteUs: value(4),
    pagesScanned: value(5),
    pagesWritten: value(7),
    sharedPagesWritten: value(14),
  };
}

/** An image is its magic numbers, and then each message with its length in front. */
function messageAfter(bytes: Buffer, magics: readonly number[], name: string): Buffer {
  const start = 4 * magics.length + 4;
  if (bytes.length < start || bytes.length > imageBytesMax)
    throw damaged(name, `it has ${bytes.length} bytes`);
  magics.forEach((magic, index) => {
    const found = bytes.readUInt32LE(4 * index);
    if (found !== magic) throw damaged(name, `it begins with 0x${found.toString(16)}`);
  });
  const length = bytes.readUInt32LE(start - 4);
  if (length > bytes.length - start)
    throw damaged(name, `${length - (bytes.length - start)} bytes are missing`);
  return bytes.subarray(start, start + length);
}

const varint = 0;

/** The whole-number fields of a message; the last of each wins, and others are passed over. */
function readVarints(message: Buffer, name: string): ReadonlyMap<number, number> {
  return decoding(name, () => {
    const fields = new Map<number, number>();
    const reader = new BinaryReader(message);
    while (reader.nextField()) {
      if (reader.getWireType() === varint) fields.set(reader.getFieldNumber(), reader.readUint64());
      else reader.skipField();
    }
    return fields;
  });
}

function submessage(message: Buffer, field: number, name: string): Buffer {
  const found = decoding(name, () => {
    const reader = new BinaryReader(message);
    while (reader.nextField()) {
      if (reader.getFieldNumber() === field && reader.getWireType() !== varint) return reader.readBytes();
      reader.skipField();
    }
    return undefined;
  });
  if (found === undefined) throw damaged(name, "it has no statistics of a dump");
  return Buffer.from(found);
}

function decoding<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw damaged(name, cause instanceof Error ? cause.message : String(cause));
  }
}
