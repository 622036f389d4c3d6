import { describe, expect, it } from "vitest";
import { DomainError, isDomainError, toDomainError } from "./errors.js";

describe("toDomainError", () => {
  const known = new DomainError("not_found", "no sandbox", { hint: "look" });
  it.each<[string, unknown, string, string]>([
    ["a domain error", known, "not_found", "no sandbox"],
    ["an abort", AbortSignal.abort().reason, "cancelled", "reading: cancelled"],
    [
      "a deadline",
      Object.assign(new Error("t"), { name: "TimeoutError" }),
      "deadline_exceeded",
      "reading: timed out",
    ],
    ["any error", new TypeError("x is undefined"), "internal", "reading: x is undefined"],
    ["anything else", "text", "internal", "reading: text"],
    ["nothing", undefined, "internal", "reading: undefined"],
  ])("translates %s", (_name, thrown, code, message) => {
    expect(toDomainError(thrown, "reading")).toMatchObject({ code, message });
  });

  it("keeps cause and hint", () => {
    const cause = new Error("below");
    expect(toDomainError(cause).cause).toBe(cause);
    expect(toDomainError(known).hint).toBe("look");
  });

  it("is told apart by code", () => {
    expect(isDomainError(known)).toBe(true);
    expect(isDomainError(known, "not_found")).toBe(true);
    expect(isDomainError(known, "internal")).toBe(false);
    expect(isDomainError(new Error("x"))).toBe(false);
  });
});
