import { describe, expect, it } from "vitest";
import { planShims } from "./shim-plan.js";

const shims = (...sizes: number[]) =>
  new Map(
    sizes.map((size, index) => [
      `s${index}`,
      new Set(Array.from({ length: size }, (_, n) => `${index}/${n}`)),
    ]),
  );

describe("shims of 4 places", () => {
  it.each([
    ["none", [], { fill: undefined, start: true, end: [] }],
    ["an empty one", [0], { fill: "s0", start: false, end: [] }],
    ["a half full one", [2], { fill: "s0", start: false, end: [] }],
    ["one with a single place", [3], { fill: "s0", start: true, end: [] }],
    ["full ones", [4, 4], { fill: undefined, start: true, end: [] }],
    ["one fuller than the other", [1, 3, 4], { fill: "s1", start: false, end: [] }],
    ["an empty one beside places elsewhere", [0, 2, 2], { fill: "s1", start: false, end: ["s0"] }],
    ["an empty one beside too few places", [0, 3, 2], { fill: "s1", start: false, end: [] }],
    ["empty ones only", [0, 0, 0], { fill: "s0", start: false, end: ["s0", "s1"] }],
  ] as const)("%s", (_, sizes, plan) => {
    expect(planShims(shims(...sizes), 4)).toEqual(plan);
  });

  it("of one place each: one is kept ready", () => {
    expect(planShims(shims(1, 0), 1)).toEqual({ fill: "s1", start: false, end: [] });
    expect(planShims(shims(1), 1)).toMatchObject({ start: true });
    expect(planShims(shims(1, 0, 0), 1)).toMatchObject({ start: false, end: ["s1"] });
  });
});
