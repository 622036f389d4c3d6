import { describe, expect, it } from "vitest";
import { createFieldReader, createFieldWriter, type FieldReader } from "./wire.js";

const bytes = (...values: number[]) => Buffer.from(values);
const ff8 = Buffer.alloc(8, 0xff);

describe("field writer", () => {
  it("writes little-endian fields one after the other", () => {
    const written = createFieldWriter().u8(1).u16(2).u32(3).i32(-1).u64(4).str("é").list(["a", ""]).finish();
    expect([...written]).toEqual([
      ...[1, 2, 0, 3, 0, 0, 0, 255, 255, 255, 255, 4, 0, 0, 0, 0, 0, 0, 0],
      ...[2, 0, 0, 0, 0xc3, 0xa9],
      ...[2, 0, 0, 0, 1, 0, 0, 0, 97, 0, 0, 0, 0],
    ]);
  });

  it.each([
    ["a negative number", () => createFieldWriter().u32(-1)],
    ["a number too large", () => createFieldWriter().u16(65_536)],
    ["a fraction", () => createFieldWriter().u64(1.5)],
    ["not a number", () => createFieldWriter().u8(Number.NaN)],
    ["a NUL in a string", () => createFieldWriter().str("a\0b")],
  ])("refuses %s", (_name, write) => {
    expect(write).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });
});

describe("field reader", () => {
  it.each<[string, Buffer, (r: FieldReader) => unknown]>([
    ["an integer cut short", bytes(1, 2, 3), (r) => r.u32()],
    ["a string longer than the payload", bytes(255, 255, 255, 255, 65), (r) => r.str()],
    ["a list longer than the payload", bytes(255, 255, 255, 255, 0, 0, 0, 0), (r) => r.list()],
    ["a list with a string cut short", bytes(1, 0, 0, 0, 9, 0, 0, 0, 65), (r) => r.list()],
    ["a number beyond what is exact", ff8, (r) => r.u64()],
    ["a time that no calendar has", Buffer.concat([ff8.subarray(1), bytes(0x7f)]), (r) => r.dateMs()],
    ["bytes left over", bytes(0), (r) => r.end()],
  ])("refuses %s", (_name, payload, read) => {
    expect(() => read(createFieldReader(payload))).toThrow(/broke its protocol/);
  });

  it("lets a size stop at the largest exact number", () => {
    expect(createFieldReader(ff8).u64Saturated()).toBe(Number.MAX_SAFE_INTEGER);
  });

  it("reads names that are no UTF-8", () => {
    expect(createFieldReader(bytes(2, 0, 0, 0, 0xff, 0x41)).str()).toBe("\ufffdA");
  });
});
