import { describe, expect, it } from "vitest";
import { parseSourceName } from "./source-name.js";

describe("names of templates and snapshots", () => {
  it.each([
    ["base", { name: "base" }],
    ["Base", { name: "base" }],
    ["base:v2", { name: "base", tag: "v2" }],
    ["base:default", { name: "base" }],
    ["team/base:v2", { namespace: "team", name: "base", tag: "v2" }],
    ["a1b2c3d4e5f6g7h8i9j0:default", { name: "a1b2c3d4e5f6g7h8i9j0" }],
  ])("reads %s", (text, name) => {
    expect(parseSourceName(text)).toEqual(name);
  });

  it.each(["", "/base", "base:", "a/b/c", "a b", "../x", "base:v 2", "x".repeat(64)])(
    "refuses %j",
    (text) => {
      expect(() => parseSourceName(text)).toThrow(/cannot be the name of a template/);
    },
  );
});
