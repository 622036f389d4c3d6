import { expect, test } from "vitest";
import { sumProgress } from "./pull.js";

test("adds up blobs, whatever order they report in", () => {
  const sum = sumProgress();
  const event = (name: string, doneBytes: number, totalBytes: number) => ({
    event: "downloading",
    name,
    doneBytes,
    totalBytes,
  });
  expect(sum(event("index", 0, 0))).toEqual({ phase: "receiving", doneBytes: 0, totalBytes: 0 });
  expect(sum(event("a", 5, 10))).toEqual({ phase: "receiving", doneBytes: 5, totalBytes: 10 });
  expect(sum(event("b", 1, 4))).toEqual({ phase: "receiving", doneBytes: 6, totalBytes: 14 });
  expect(sum(event("a", 10, 10))).toEqual({ phase: "receiving", doneBytes: 11, totalBytes: 14 });
  expect(sum(event("b", 4, 4))).toEqual({ phase: "unpacking", doneBytes: 14, totalBytes: 14 });
});
