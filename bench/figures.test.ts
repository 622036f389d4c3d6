import { describe, expect, it } from "vitest";
import { figureOf, formatTarget, quantile } from "./figures.js";

describe("quantile", () => {
  it.each([
    { share: 0.5, sorted: [7], expected: 7 },
    { share: 0.5, sorted: [1, 3], expected: 2 },
    { share: 0.9, sorted: [0, 10], expected: 9 },
    { share: 1, sorted: [1, 2, 3], expected: 3 },
  ])("is $expected at $share of $sorted", ({ share, sorted, expected }) => {
    expect(quantile(sorted, share)).toBe(expected);
  });
});

it("sorts samples by number, and keeps them in their order", () => {
  expect(figureOf([10, 9, 100])).toMatchObject({ median: 10, samples: [10, 9, 100] });
});

it("has no figure for no samples", () => {
  expect(figureOf([])).toBeUndefined();
});

describe("formatTarget", () => {
  it.each([
    { value: 1.2, expected: "met     a: 1.20, wanted at most 1.25" },
    { value: 1.3, expected: "MISSED  a: 1.30, wanted at most 1.25" },
    { value: undefined, expected: "-       a: not measured, wanted at most 1.25" },
  ])("says $expected", ({ value, expected }) => {
    expect(formatTarget({ what: "a", value, atMost: 1.25, unit: "" })).toBe(expected);
  });
});
