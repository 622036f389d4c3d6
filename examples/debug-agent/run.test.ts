import { describe, expect, it } from "vitest";
import { failureOf } from "./run.js";

describe("failureOf", () => {
  it.each([
    [0, "Warning: nothing", undefined],
    [null, "", "timeout"],
    [137, "", "killed"],
    [1, "Traceback (most recent call last):\n  File\nKeyError: 'a'\n", "KeyError"],
    [1, "json.decoder.JSONDecodeError: Expecting value", "json.decoder.JSONDecodeError"],
    [1, "ValueError: over\nmore lines\n", "ValueError"],
    [2, "usage: it wants a file\n", "exit"],
  ])("with exit code %s and %j is %s", (exitCode, stderr, error) => {
    expect(failureOf({ exitCode, stderr })?.error).toBe(error);
  });
});
