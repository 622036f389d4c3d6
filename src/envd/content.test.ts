import { describe, expect, it } from "vitest";
import { acceptable, isOfSame, isUnchanged, parseRange } from "./content.js";

describe("a range", () => {
  it.each([
    ["bytes=0-4", { offset: 0, length: 5 }],
    ["bytes=5-", { offset: 5, length: 5 }],
    ["bytes=-3", { offset: 7, length: 3 }],
    ["bytes=-30", { offset: 0, length: 10 }],
    ["bytes=8-30", { offset: 8, length: 2 }],
    ["bytes=10-", "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    ["bytes=4-2", undefined],
    ["bytes=-", undefined],
    ["bytes=0-1,3-4", undefined],
    ["lines=0-1", undefined],
    [undefined, undefined],
  ])("%s of 10 bytes", (header, range) => {
    expect(parseRange(header, 10)).toEqual(range);
  });

  it("of nothing cannot be had", () => {
    expect(parseRange("bytes=0-", 0)).toBe("unsatisfiable");
  });
});

describe("codings", () => {
  it.each([
    [undefined, { identity: true, gzip: false, prefersGzip: false }],
    ["gzip", { identity: true, gzip: true, prefersGzip: true }],
    ["br, gzip, deflate", { identity: true, gzip: true, prefersGzip: false }],
    ["gzip;q=0", { identity: true, gzip: false, prefersGzip: false }],
    ["identity;q=0", { identity: false, gzip: false, prefersGzip: false }],
    ["identity;q=0, gzip;q=0.5", { identity: false, gzip: true, prefersGzip: false }],
    ["*;q=0", { identity: false, gzip: false, prefersGzip: false }],
    ["*", { identity: true, gzip: true, prefersGzip: false }],
  ])("%s", (header, codings) => {
    expect(acceptable(header)).toEqual(codings);
  });
});

it("tells by the second whether a client has what there is", () => {
  const at = new Date("2026-01-02T03:04:05.678Z");
  const [before, same, after] = [4, 5, 6].map((s) => new Date(`2026-01-02T03:04:0${s}Z`).toUTCString());
  expect([before, same, after, undefined, "x"].map((since) => isUnchanged(since, at))).toEqual([
    false,
    true,
    true,
    false,
    false,
  ]);
  expect([before, same, after, undefined, '"tag"'].map((range) => isOfSame(range, at))).toEqual([
    false,
    true,
    false,
    true,
    false,
  ]);
});
