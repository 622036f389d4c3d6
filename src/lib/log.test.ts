import { describe, expect, it } from "vitest";
import { DomainError } from "./errors.js";
import { createLogger } from "./log.js";

function capture(level: "info" | "silent" = "info") {
  const lines: string[] = [];
  return { log: createLogger({ level, to: { write: (line) => void lines.push(line) } }), lines };
}

describe("log", () => {
  it.each([
    ["at the top", { token: "s3cret" }],
    ["one level down", { request: { password: "s3cret" } }],
    ["two levels down", { request: { spec: { env: { KEY: "s3cret" } } } }],
  ])("hides secrets %s", (_where, fields) => {
    const { log, lines } = capture();
    log.info(fields, "hello");
    expect(lines.join()).toContain("hello");
    expect(lines.join()).not.toContain("s3cret");
  });

  it("writes code and hint of a domain error, without a stack unless it is internal", () => {
    const { log, lines } = capture();
    log.error({ err: new DomainError("not_found", "no sandbox x", { hint: "ramet ps" }) }, "failed");
    log.error({ err: new DomainError("internal", "boom", { cause: new Error("below") }) }, "failed");
    const [expected, internal] = lines.map((line) => JSON.parse(line));
    expect(expected.err).toEqual({ code: "not_found", hint: "ramet ps", message: "no sandbox x" });
    expect(internal.err.stack).toContain("boom");
    expect(internal.err.message).toContain("below");
    expect(internal.level).toBe("error");
  });

  it("is silent when told to be", () => {
    const { log, lines } = capture("silent");
    log.fatal("x");
    expect(lines).toEqual([]);
  });
});
