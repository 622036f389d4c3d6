import { describe, expect, it } from "vitest";
import { writeImage } from "./codec.js";
import { numberField, parseMessage, requiredNumber, serializeMessage } from "./message.js";
import { partOf, presentBytes, readPagemap, writePagemap } from "./pagemap.js";

const name = "pagemap-1.img";
const page = 4096;
const head = serializeMessage([numberField(1, 3), numberField(50, 1)]);

function entry(start: number, pages: number, flags?: number): Buffer {
  return serializeMessage([
    numberField(1, start * page),
    numberField(2, flags === undefined ? pages : 0),
    ...(flags === undefined ? [] : [numberField(4, flags), numberField(5, pages)]),
    numberField(60, 5),
  ]);
}

const image = (...entries: Buffer[]) => writeImage("pagemap", [head, ...entries]);
const runs = (bytes: Buffer) =>
  readPagemap(bytes, name).entries.map(({ start, end, present, offset }) => [
    start / page,
    end / page,
    present,
    offset / page,
  ]);

describe("a page map", () => {
  it("tells where each run of pages is", () => {
    const bytes = image(entry(10, 2, 6), entry(12, 1, 1), entry(20, 4, 4), entry(30, 1, 2), entry(40, 1));
    expect(runs(bytes)).toEqual([
      [10, 12, true, 0],
      [12, 13, false, 2],
      [20, 24, true, 2],
      [30, 31, false, 6],
      [40, 41, true, 6],
    ]);
    const { entries, pagesId } = readPagemap(bytes, name);
    expect(presentBytes(entries)).toBe(7 * page);
    expect(pagesId).toBe(3);
  });

  it("knows the old way of saying that pages are a parent's", () => {
    const old = serializeMessage([numberField(1, page), numberField(2, 1), numberField(3, 1)]);
    expect(runs(image(old))).toEqual([[1, 2, false, 0]]);
  });

  it("is written as it was read, but for the number of its pages image", () => {
    const bytes = image(entry(10, 2, 6), entry(20, 1));
    const pagemap = readPagemap(bytes, name);
    expect(writePagemap(pagemap, 3).equals(bytes)).toBe(true);
    expect(readPagemap(writePagemap(pagemap, 400), name)).toMatchObject({ pagesId: 400 });
  });

  it("is cut, and keeps what else an entry says", () => {
    const [whole] = readPagemap(image(entry(10, 1, 4), entry(12, 5, 6)), name).entries.slice(1);
    if (whole === undefined) throw new Error("no entry");
    const part = partOf(whole, 13 * page, 15 * page, name);
    expect(part).toMatchObject({ present: true, offset: 2 * page });
    const message = parseMessage(part.bytes, name);
    const numbers = [1, 2, 4, 5, 60].map((field) => requiredNumber(message, field, name));
    expect(numbers).toEqual([13 * page, 0, 6, 2, 5]);
    expect(partOf(whole, whole.start, whole.end, name)).toBe(whole);
  });

  it("of an older CRIU is cut as that wrote it", () => {
    const [whole] = readPagemap(image(entry(10, 9)), name).entries;
    if (whole === undefined) throw new Error("no entry");
    const message = parseMessage(partOf(whole, 12 * page, 15 * page, name).bytes, name);
    expect(requiredNumber(message, 2, name)).toBe(3);
    expect(message.map(({ number }) => number)).toEqual([1, 2, 60]);
  });

  it.each([
    ["no head", writeImage("pagemap", [])],
    ["pages out of order", image(entry(10, 2, 4), entry(11, 1, 4))],
    ["an entry without pages", image(entry(10, 0, 4))],
    ["more pages than there can be", image(entry(10, 2 ** 41, 4))],
  ])("is refused with %s", (_what, bytes) => {
    expect(() => readPagemap(bytes, name)).toThrow(expect.objectContaining({ code: "failed_precondition" }));
  });
});
