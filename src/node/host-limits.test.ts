import { expect, it } from "vitest";
import { raised } from "./host-limits.js";

const none = { path: "a", atLeast: Number.POSITIVE_INFINITY, unlimited: 0 };
const some = { path: "b", atLeast: 100 };

it.each([
  [none, 16_384, 0],
  [none, 0, undefined],
  [some, 99, 100],
  [some, 100, undefined],
  [some, 101, undefined],
  [some, 0, 100],
])("raises and never lowers", (limit, current, wanted) => {
  expect(raised(limit, current)).toBe(wanted);
});
