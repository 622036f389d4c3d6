import { expect, it } from "vitest";
import { someBytes } from "./random-bytes.js";

it("gives bytes that were not given before", () => {
  const seen = new Set(Array.from({ length: 5000 }, () => someBytes(16).toString("hex")));
  expect(seen.size).toBe(5000);
});

it("gives as many as are asked for", () => {
  expect([0, 1, 40, 8192, 10_000].map((count) => someBytes(count).length)).toEqual([0, 1, 40, 8192, 10_000]);
});

it("lets nobody change what another has", () => {
  const first = someBytes(32);
  const text = first.toString("hex");
  someBytes(32).fill(0);
  expect(first.toString("hex")).toBe(text);
});
