import { describe, expect, it } from "vitest";
import { aCheckpoint } from "../../test/support/stub-node.js";
import { checkpointForest, drawForest } from "./checkpoint-tree.js";
import type { Shape } from "./shapes.js";

function view(id: string, parent?: string, minute = 0): Shape<"checkpoint"> {
  const { sandbox, kind, memoryBytes, inheritedBytes, layerBytes, freezeMs } = aCheckpoint();
  const createdAt = new Date(Date.UTC(2020, 0, 1, 0, minute)).toISOString();
  const facts = { sandbox, kind, memoryBytes, inheritedBytes, layerBytes, freezeMs, createdAt };
  return {
    id,
    image: "i",
    generation: 0,
    dependents: [],
    ...facts,
    ...(parent === undefined ? {} : { parent }),
  };
}

describe("checkpoint tree", () => {
  const views = [
    view("d", "gone", 4),
    view("c", "a", 3),
    view("b", "a", 2),
    view("e", "b", 5),
    view("a", undefined, 1),
  ];

  it("puts children below their parents, oldest first; one without its parent is a root", () => {
    const forest = checkpointForest(views);
    expect(forest.map(({ id }) => id)).toEqual(["a", "d"]);
    expect(forest[0]?.children.map(({ id }) => id)).toEqual(["b", "c"]);
  });

  it("is drawn with branches", () => {
    const lines = drawForest(checkpointForest(views)).split("\n");
    expect(lines.map((line) => line.replace(/ {2}.*/, ""))).toEqual(["a", "├─ b", "│", "└─ c", "d"]);
    expect(lines[2]).toMatch(/^│ {2}└─ e/);
    const [line] = drawForest(
      checkpointForest([{ ...view("a"), memoryBytes: 1024, inheritedBytes: 2 ** 20 }]),
    ).split("\n");
    expect(line).toContain("1.0 KiB + 1.0 MiB inherited");
  });
});
