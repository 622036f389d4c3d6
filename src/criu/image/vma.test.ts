import { describe, expect, it } from "vitest";
import { numberField, parseMessage, serializeMessage } from "./message.js";
import { mapFile, parseVma } from "./vma.js";

const name = "mm-1.img";
// Written by CRIU 4.2.1 for an anonymous mapping; field 99 is not CRIU's.
const fields = [
  numberField(1, 0x7f0000000000),
  numberField(2, 0x7f0000010000),
  numberField(3, 0),
  numberField(4, 0),
  numberField(5, 3),
  numberField(6, 0x22),
  numberField(7, 0x221),
  // sint64 -1.
  numberField(8, 1),
  numberField(9, 2 ** 14 + 2 ** 16),
  numberField(99, 7),
];
const bytes = serializeMessage(fields);
const change = (number: number, value: number) =>
  serializeMessage(fields.map((field) => (field.number === number ? numberField(number, value) : field)));

describe("a mapping", () => {
  it("is read", () => {
    expect(parseVma(bytes, name)).toEqual({
      start: 0x7f0000000000,
      end: 0x7f0000010000,
      prot: 3,
      flags: 0x22,
      status: 0x221,
      advised: new Set([14, 16]),
      fileId: undefined,
      offset: 0,
    });
  });

  it("at the very end of the address space is read too", () => {
    const vsyscall = serializeMessage([
      ...[numberField(1, 2 ** 64 - 0xa00000), numberField(2, 2 ** 64 - 0x9ff000)],
      ...fields.slice(2),
    ]);
    expect(parseVma(vsyscall, name).end).toBe(2 ** 64 - 0x9ff000);
  });

  it("becomes one of a file", () => {
    const mapped = mapFile(bytes, { id: 9, offset: 0x5000 }, name);
    expect(parseVma(mapped, name)).toEqual({
      ...parseVma(bytes, name),
      offset: 0x5000,
      flags: 0x02,
      status: 0x41,
      fileId: 9,
    });
    const numbers = parseMessage(mapped, name).map(({ number }) => number);
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99]);
  });

  it.each([
    ["an end before its start", change(2, 0x1000)],
    ["a start inside a page", change(1, 0x7f0000000001)],
    ["no status", serializeMessage(fields.filter(({ number }) => number !== 7))],
  ])("is refused with %s", (_what, bytes) => {
    expect(() => parseVma(bytes, name)).toThrow(expect.objectContaining({ code: "failed_precondition" }));
  });
});
