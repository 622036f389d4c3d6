import { expect, it } from "vitest";
import { chooseSizes } from "./sizes.js";

const plenty = 1_000_000;

it.each([
  {
    case: "all where there is room",
    max: 4096,
    memoryMib: plenty,
    diskMib: plenty,
    sizes: [16, 256, 1024, 4096],
  },
  { case: "none above --max-size", max: 256, memoryMib: plenty, diskMib: plenty, sizes: [16, 256] },
  { case: "what memory suffices for", max: 4096, memoryMib: 7000, diskMib: plenty, sizes: [16, 256, 1024] },
  { case: "what the disk suffices for", max: 4096, memoryMib: plenty, diskMib: 3000, sizes: [16, 256] },
])("measures $case", ({ max, memoryMib, diskMib, sizes }) => {
  const choice = chooseSizes(max, { memoryMib, diskMib });
  expect(choice.sizes).toEqual(sizes);
  expect(choice.leftOut).toHaveLength(4 - sizes.length);
});
