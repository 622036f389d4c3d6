import { expect, it } from "vitest";
import { remembering } from "./rows.js";

it("parses a row again once a column is another, and never mixes rows up", () => {
  let parsed = 0;
  const parse = remembering((row) => ({ ...(row as { id: string; text: string }), count: ++parsed }));
  const first = parse({ id: "a", text: "1" });
  expect(parse({ id: "a", text: "1" })).toBe(first);
  expect(parse({ id: "b", text: "1" })).toMatchObject({ id: "b", count: 2 });
  expect(parse({ id: "a", text: "2" })).toMatchObject({ text: "2", count: 3 });
  expect(parse({ id: "a", text: "1" })).toMatchObject({ text: "1", count: 4 });
});

it("forgets the one that it has known for longest", () => {
  const parse = remembering((row) => ({ row }), 2);
  const [first, second] = [parse({ id: "a" }), parse({ id: "b" })];
  parse({ id: "c" });
  expect(parse({ id: "b" })).toBe(second);
  expect(parse({ id: "a" })).not.toBe(first);
});
