import { describe, expect, it } from "vitest";
import { checkInventory, readDumpStats } from "./images.js";

// Written by CRIU 4.2.1.
const stats = Buffer.from(
  "405910550633095724000000" + "0a22088c0110814518fa17208411289b0e300038b70d4000480050085808600068007000",
  "hex",
);
const inventory = Buffer.from(
  "163131584e000000" +
    "080210011a1808011001180120012801300238034004480650075808" +
    "600520012801300058006200" +
    "6a2438326139363664662d326135322d346236372d396262312d316161366338356162363938",
  "hex",
);

function changed(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = value;
  return copy;
}

describe("stats-dump", () => {
  it("tells times and pages", () => {
    expect(readDumpStats(stats)).toEqual({
      freezingUs: 140,
      frozenUs: 8833,
      memoryDumpUs: 3066,
      memoryWriteUs: 2180,
      pagesScanned: 1819,
      pagesWritten: 1719,
      sharedPagesWritten: 0,
    });
  });

  it.each([
    ["nothing", Buffer.alloc(0)],
    ["another magic", changed(stats, 5, 0)],
    ["an end that is missing", stats.subarray(0, 30)],
    ["a length of 2^32-1", Buffer.concat([stats.subarray(0, 8), Buffer.alloc(4, 0xff), stats.subarray(12)])],
    ["no statistics of a dump", changed(stats, 12, 0x12)],
    ["a number that never ends", Buffer.concat([stats.subarray(0, 14), Buffer.alloc(34, 0xff)])],
  ])("is refused with %s", (_name, bytes) => {
    expect(() => readDumpStats(bytes)).toThrow(expect.objectContaining({ code: "failed_precondition" }));
  });
});

describe("inventory", () => {
  it("is taken as CRIU wrote it", () => expect(() => checkInventory(inventory)).not.toThrow());

  it.each([
    ["a flipped magic", changed(inventory, 0, 0xff), /begins with/],
    ["another format", changed(inventory, 9, 3), /format is 3/],
    ["a missing end", inventory.subarray(0, 40), /missing/],
  ])("is refused with %s", (_name, bytes, message) => {
    expect(() => checkInventory(bytes)).toThrow(message);
  });
});
