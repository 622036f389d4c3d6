import { BinaryWriter } from "google-protobuf";
import { describe, expect, it } from "vitest";
import {
  allBytesOf,
  allNumbersOf,
  bytesField,
  numberField,
  numberOf,
  parseMessage,
  serializeMessage,
  textField,
  textOf,
  withFields,
} from "./message.js";

const name = "x.img";

/** Every wire type, a field given twice, and numbers that nobody here knows. */
function sample(): Buffer {
  const writer = new BinaryWriter();
  writer.writeUint64(1, 2 ** 46);
  writer.writeString(2, "name");
  writer.writeSint64(3, -1);
  writer.writeFixed32(900, 7);
  writer.writeFixed64(901, 8);
  writer.writeUint32(4, 1);
  writer.writeUint32(4, 2);
  return Buffer.from(writer.getResultBuffer());
}

describe("a message", () => {
  it("is written as it was read", () => {
    expect(serializeMessage(parseMessage(sample(), name))).toEqual(sample());
    const long = Buffer.from("0880800112036162638280808000008a0100", "hex");
    expect(serializeMessage(parseMessage(long.subarray(0, 9), name))).toEqual(long.subarray(0, 9));
  });

  it("gives the last value of a field, or all", () => {
    const message = parseMessage(sample(), name);
    expect(numberOf(message, 1, name)).toBe(2 ** 46);
    expect(textOf(message, 2, name)).toBe("name");
    expect(numberOf(message, 4, name)).toBe(2);
    expect(allNumbersOf(message, 4, name)).toEqual([1, 2]);
    expect(numberOf(message, 5, name)).toBeUndefined();
    expect(allBytesOf(message, 2, name).map(String)).toEqual(["name"]);
  });

  it("sets a field in its place and keeps the others' bytes", () => {
    const before = parseMessage(sample(), name);
    const after = withFields(before, numberField(1, 5), textField(77, "new"));
    expect(after.map(({ number }) => number)).toEqual([1, 2, 3, 77, 900, 901, 4, 4]);
    expect(numberOf(after, 1, name)).toBe(5);
    expect(serializeMessage(after.filter(({ number }) => number !== 1 && number !== 77))).toEqual(
      serializeMessage(before.slice(1)),
    );
    expect(withFields(before, numberField(4, 9)).filter(({ number }) => number === 4)).toHaveLength(1);
  });

  it.each([
    ["a number that never ends", Buffer.alloc(12, 0xff)],
    ["bytes that are missing", Buffer.from(bytesField(2, Buffer.alloc(8)).bytes).subarray(0, 5)],
    ["a length beyond its end", Buffer.from("12ffffffff0f61", "hex")],
    ["field number 0", Buffer.from("0001", "hex")],
    ["a fixed number cut off", Buffer.from("0d0102", "hex")],
  ])("is refused with %s", (_what, bytes) => {
    expect(() => parseMessage(bytes, name)).toThrow(expect.objectContaining({ code: "failed_precondition" }));
  });

  it("is refused where a field is of another type", () => {
    const message = parseMessage(sample(), name);
    expect(() => numberOf(message, 2, name)).toThrow(/damaged/);
    expect(() => textOf(message, 1, name)).toThrow(/damaged/);
    expect(() => allNumbersOf(message, 2, name)).toThrow(/damaged/);
  });
});
