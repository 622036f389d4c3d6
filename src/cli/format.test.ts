import { describe, expect, it } from "vitest";
import {
  formatAge,
  formatBytes,
  formatCommand,
  formatDuration,
  formatMode,
  formatTable,
  printable,
} from "./format.js";
import { drawStep } from "./progress.js";

describe("sizes and times", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [268_435_456, "256 MiB"],
    [1_073_741_823, "1.0 GiB"],
    [3n * 2n ** 40n, "3.0 TiB"],
  ])("%s bytes are %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));
  it.each([
    [0.25, "0.3 ms"],
    [85.4, "85 ms"],
    [4200, "4.2 s"],
    [90_000, "90 s"],
    [3_000_000, "50 min"],
    [90_000_000, "25 h"],
    [900_000_000, "10 days"],
  ])("%s ms are %s", (ms, text) => expect(formatDuration(ms)).toBe(text));
  it("ages count from zero", () => {
    const now = new Date("2026-01-01T00:00:10Z");
    expect(formatAge(new Date("2026-01-01T00:00:07Z"), now)).toBe("3 s ago");
    expect(formatAge(new Date("2026-01-01T00:00:11Z"), now)).toBe("0 s ago");
    expect(formatAge(undefined, now)).toBe("-");
  });
});

describe("modes", () => {
  it.each([
    ["regular", 0o644, "-rw-r--r--"],
    ["directory", 0o1777, "drwxrwxrwt"],
    ["regular", 0o4755, "-rwsr-xr-x"],
    ["symlink", 0o777, "lrwxrwxrwx"],
    ["other", 0o2600, "?rw---S---"],
  ])("%s %s is %s", (type, mode, text) => expect(formatMode(type, mode)).toBe(text));
});

describe("what a sandbox wrote", () => {
  it("cannot drive the terminal", () => {
    expect(printable("a\x1b[2Jb\n\x9b")).toBe("a\\x1b[2Jb\\x0a\\x9b");
    expect(formatTable(["A"], [["x\x1b]0;t\x07"]])).not.toContain("\x1b");
  });
  it("is quoted like a command", () =>
    expect(formatCommand(["a", "b c", "it's"])).toBe("a 'b c' 'it'\\''s'"));
});

describe("tables", () => {
  it("align columns and leave no blanks at the end", () => {
    const table = formatTable(
      ["ID", "NAME"],
      [
        ["a1b2c3", "x"],
        ["b", ""],
      ],
    );
    expect(table).toBe("ID      NAME\na1b2c3  x\nb");
  });
});

describe("progress", () => {
  it("draws a bar where the end is known", () => {
    expect(drawStep({ label: "fetching", done: 512, total: 1024 })).toBe(
      "fetching  [############------------]  512 B of 1.0 KiB",
    );
    expect(drawStep({ label: "restoring", done: 3, total: 8, unit: "count" })).toContain("3 of 8");
    expect(drawStep({ label: "waiting" })).toBe("waiting …");
  });
});
