/**
 * Protobuf messages as lists of fields, each with the bytes it was found as: one field can be changed, and all others,
 * known or not, stay what they were. Pure.
 */
import { BinaryReader, BinaryWriter } from "google-protobuf";
import { damaged } from "../damaged.js";

export interface Field {
  readonly number: number;
  readonly wireType: number;
  /** Tag and value. */
  readonly bytes: Uint8Array;
}

export type Message = readonly Field[];

const varint = 0;
const delimited = 2;

export function parseMessage(bytes: Uint8Array, name: string): Message {
  return decoding(name, () => {
    const fields: Field[] = [];
    const reader = new BinaryReader(bytes);
    while (reader.nextField()) {
      const start = reader.getFieldCursor();
      const number = reader.getFieldNumber();
      const wireType = reader.getWireType();
      reader.skipField();
      const end = reader.getCursor();
      if (end > bytes.length) throw new Error(`field ${number} has no end`);
      fields.push({ number, wireType, bytes: bytes.subarray(start, end) });
    }
    return fields;
  });
}

export function serializeMessage(message: Message): Buffer {
  return Buffer.concat(message.map(({ bytes }) => bytes));
}

/** An unsigned number. Beyond 2^53 it is rounded, which leaves the addresses of pages as they are. */
export function numberOf(message: Message, field: number, name: string): number | undefined {
  const found = last(message, field);
  return found === undefined ? undefined : varintOf(found, name);
}

export function requiredNumber(message: Message, field: number, name: string): number {
  const value = numberOf(message, field, name);
  if (value === undefined) throw damaged(name, `field ${field} is missing`);
  return value;
}

/** Bytes, a string or a message. */
export function bytesOf(message: Message, field: number, name: string): Buffer | undefined {
  const found = last(message, field);
  return found === undefined ? undefined : payload(found, name);
}

export function textOf(message: Message, field: number, name: string): string | undefined {
  return bytesOf(message, field, name)?.toString("utf8");
}

/** The messages of a repeated field. */
export function allBytesOf(message: Message, field: number, name: string): Buffer[] {
  return message.filter(({ number }) => number === field).map((found) => payload(found, name));
}

/** The numbers of a repeated field. CRIU packs none. */
export function allNumbersOf(message: Message, field: number, name: string): number[] {
  return message.filter(({ number }) => number === field).map((found) => varintOf(found, name));
}

export function numberField(number: number, value: number): Field {
  const writer = new BinaryWriter();
  writer.writeUint64(number, value);
  return { number, wireType: varint, bytes: writer.getResultBuffer() };
}

export function bytesField(number: number, value: Uint8Array): Field {
  const writer = new BinaryWriter();
  writer.writeBytes(number, value);
  return { number, wireType: delimited, bytes: writer.getResultBuffer() };
}

export function textField(number: number, value: string): Field {
  return bytesField(number, Buffer.from(value));
}

/** The message with these fields set, each in the place of the one it replaces, else in the order of numbers. */
export function withFields(message: Message, ...changed: readonly Field[]): Message {
  const left = new Map(changed.map((field) => [field.number, field]));
  const numbers = new Set(left.keys());
  const result: Field[] = [];
  for (const field of message) {
    if (!numbers.has(field.number)) result.push(field);
    else {
      const replacement = left.get(field.number);
      if (replacement !== undefined) result.push(replacement);
      left.delete(field.number);
    }
  }
  for (const field of left.values()) {
    const at = result.findIndex(({ number }) => number > field.number);
    result.splice(at < 0 ? result.length : at, 0, field);
  }
  return result;
}

/** Of a field that is given twice the last one counts. */
function last(message: Message, field: number): Field | undefined {
  return message.findLast(({ number }) => number === field);
}

function varintOf(field: Field, name: string): number {
  if (field.wireType !== varint) throw damaged(name, `field ${field.number} is no number`);
  // Beyond 2^53 it is read as text.
  return decoding(name, () => Number(valueReader(field).readUint64()));
}

function payload(field: Field, name: string): Buffer {
  if (field.wireType !== delimited) throw damaged(name, `field ${field.number} is no message`);
  return decoding(name, () => {
    const { buffer, byteOffset, byteLength } = valueReader(field).readBytes();
    return Buffer.from(buffer, byteOffset, byteLength);
  });
}

function valueReader(field: Field): BinaryReader {
  const reader = new BinaryReader(field.bytes);
  reader.nextField();
  return reader;
}

export function decoding<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw damaged(name, cause instanceof Error ? cause.message : String(cause), cause);
  }
}
