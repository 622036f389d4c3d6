import { describe, expect, it } from "vitest";
import {
  collectPairs,
  parseDecimal,
  parseDetachKeys,
  parseDuration,
  parseFileMode,
  parsePlace,
  parseSignal,
  parseSize,
  parseWhole,
  signalName,
} from "./arguments.js";

describe("parseSize", () => {
  it.each([
    ["65536", 65536n],
    ["512m", 536870912n],
    ["512MB", 536870912n],
    ["1.5GiB", 1610612736n],
    ["2k", 2048n],
  ])("%s is %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));
  it.each(["", "m", "-1", "1x", "1 2"])("refuses %j", (text) =>
    expect(() => parseSize(text)).toThrow("size"),
  );
});

describe("parseDuration", () => {
  it.each([
    ["10", 10_000],
    ["10s", 10_000],
    ["500ms", 500],
    ["1.5m", 90_000],
    ["0", 0],
  ])("%s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));
  it("refuses what no timer can wait for", () => {
    expect(parseDuration("596h")).toBe(2_145_600_000);
    expect(() => parseDuration("597h")).toThrow("too long");
  });
  it.each(["", "s", "10 s", "-1", "1d"])("refuses %j", (text) =>
    expect(() => parseDuration(text)).toThrow("duration"),
  );
});

describe("numbers", () => {
  it("are whole or decimal, and nothing else", () => {
    expect(parseWhole("8")).toBe(8);
    expect(parseDecimal("0.5")).toBe(0.5);
    for (const text of ["", "8x", "-1", "0x10", "1e3", "99999999999999999999"])
      expect(() => parseWhole(text)).toThrow("whole number");
    for (const text of ["", ".", "1.", "NaN"]) expect(() => parseDecimal(text)).toThrow("number");
  });
});

describe("modes", () => {
  it("are octal", () => {
    expect([parseFileMode("755"), parseFileMode("0600"), parseFileMode("4755")]).toEqual([
      0o755, 0o600, 0o4755,
    ]);
    for (const text of ["999", "", "-1", "0x1ff", "77777", "u+x"])
      expect(() => parseFileMode(text)).toThrow("not understood");
  });
});

describe("pairs", () => {
  it("keep what is after the first =, take bare names from the environment, and the last one wins", () => {
    const collect = collectPairs({ HOME: "/root" });
    const pairs = ["A=1", "B=x=y", "C=", "HOME", "UNSET", "A=2"].reduce<Readonly<Record<string, string>>>(
      (soFar, text) => collect(text, soFar),
      {},
    );
    expect(pairs).toEqual({ A: "2", B: "x=y", C: "", HOME: "/root" });
    expect(() => collect("=x")).toThrow("no name");
  });
});

describe("signals", () => {
  it.each([
    ["9", 9],
    ["KILL", 9],
    ["sigterm", 15],
    ["SIGUSR1", 10],
  ])("%s is %d", (text, number) => expect(parseSignal(text)).toBe(number));
  it("have names", () => expect([signalName(9), signalName(40)]).toEqual(["SIGKILL", "signal 40"]));
  it("that do not exist are refused", () => expect(() => parseSignal("NOPE")).toThrow("NOPE"));
});

describe("parsePlace", () => {
  it.each([
    ["-", { kind: "stdio" }],
    ["file", { kind: "local", path: "file" }],
    ["./a:b", { kind: "local", path: "./a:b" }],
    ["/a:b", { kind: "local", path: "/a:b" }],
    ["a1b2:/tmp/x:y", { kind: "sandbox", sandbox: "a1b2", path: "/tmp/x:y" }],
    ["a1b2:notes", { kind: "sandbox", sandbox: "a1b2", path: "notes" }],
  ])("%s", (text, place) => expect(parsePlace(text)).toEqual(place));
  it.each(["", "a1b2:"])("refuses %j", (text) => expect(() => parsePlace(text)).toThrow());
});

describe("parseDetachKeys", () => {
  it("knows control keys and plain ones", () => {
    expect([...parseDetachKeys("ctrl-p,ctrl-q")]).toEqual([16, 17]);
    expect([...parseDetachKeys("ctrl-],d")]).toEqual([29, 100]);
    expect([...parseDetachKeys("")]).toEqual([]);
    expect(() => parseDetachKeys("alt-x")).toThrow("alt-x");
  });
});
