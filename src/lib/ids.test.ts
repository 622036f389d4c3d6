import { describe, expect, it } from "vitest";
import { isId, isIdPrefix, parseId, parseName, quote, randomId } from "./ids.js";

describe("randomId", () => {
  it("makes distinct ids of 20 letters and digits", () => {
    const ids = Array.from({ length: 1000 }, randomId);
    expect(new Set(ids).size).toBe(1000);
    for (const id of ids) expect(id).toMatch(/^[a-z0-9]{20}$/);
  });

  it("uses every character about equally often", () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 2000; i++) for (const c of randomId()) counts.set(c, (counts.get(c) ?? 0) + 1);
    expect(counts.size).toBe(36);
    for (const n of counts.values()) expect(n).toBeGreaterThan(800);
  });
});

describe("parsing", () => {
  it.each([
    ["abcdefghij0123456789", true],
    ["abcdefghij012345678", false],
    ["abcdefghij01234567890", false],
    ["Abcdefghij0123456789", false],
    ["abcdefghij012345678\n", false],
    ["../../../../../etc/a", false],
    ["", false],
  ])("is %j an id? %s", (text, ok) => {
    expect(isId(text)).toBe(ok);
    if (ok) expect(parseId("sandbox", text)).toBe(text);
    else expect(() => parseId("sandbox", text)).toThrow(/is not a sandbox id/);
  });

  it.each([
    ["abc", false],
    ["abcd", true],
    ["abc-", false],
    ["a".repeat(21), false],
  ])("is %j a prefix? %s", (text, ok) => expect(isIdPrefix(text)).toBe(ok));

  it.each(["a", "rl-env_1.2", "0", "a".repeat(63)])("takes the name %j", (name) =>
    expect(parseName("sandbox", name)).toBe(name),
  );
  it.each(["", "-a", ".a", "A", "a b", "a/b", "a\0", "a".repeat(64), "é"])("refuses the name %j", (name) =>
    expect(() => parseName("sandbox", name)).toThrow(/cannot be the name/),
  );

  it("keeps hostile text out of messages", () => {
    expect(quote("a\u001b[31m\n")).toBe('"a\\u001b[31m\\n"');
    expect(quote("x".repeat(5000)).length).toBeLessThan(70);
  });
});
