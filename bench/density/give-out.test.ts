import { expect, it } from "vitest";
import { givenOut } from "./give-out.js";

const supply = (what: string, used: number, limit: number) => ({ what, used, limit });

it.each([
  { case: "nothing while there is room", supplies: [supply("keys", 100, 200)], expected: undefined },
  { case: "what has no room for more", supplies: [supply("keys", 199, 200)], expected: "keys" },
  {
    case: "what is nearest to its limit",
    supplies: [supply("keys", 195, 200), supply("memory", 100, 100)],
    expected: "memory",
  },
  { case: "nothing without a limit", supplies: [supply("keys", 5, 0)], expected: undefined },
])("names $case", ({ supplies, expected }) => {
  expect(givenOut(supplies, 0.97)?.what).toBe(expected);
});
