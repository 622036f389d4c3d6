import { describe, expect, it } from "vitest";
import { drawTree, growTree } from "./tree.js";

const at = (id: string, day: number, parent?: string) => ({
  id,
  createdAt: new Date(Date.UTC(2026, 0, day)),
  ...(parent === undefined ? {} : { parent }),
});

describe("checkpoint tree", () => {
  it.each([
    { name: "nothing", given: [], lines: [] },
    { name: "roots, oldest first", given: [at("b", 2), at("a", 1)], lines: ["a", "b"] },
    { name: "one whose parent is gone", given: [at("b", 2, "gone")], lines: ["b"] },
    {
      name: "branches",
      given: [at("e", 5, "b"), at("d", 4, "a"), at("c", 3, "b"), at("b", 2, "a"), at("a", 1), at("z", 9)],
      lines: ["a", "├─ b", "│  ├─ c", "│  └─ e", "└─ d", "z"],
    },
    {
      name: "a long line",
      given: [at("a", 1), at("b", 2, "a"), at("c", 3, "b")],
      lines: ["a", "└─ b", "   └─ c"],
    },
  ])("draws $name", ({ given, lines }) => {
    expect(drawTree(growTree(given), ({ id }) => id)).toEqual(lines);
  });
});
