import { describe, expect, it } from "vitest";
import { templateSpecSchema, templateStateSchema } from "./schema.js";

const spec = {
  name: "python",
  image: "debian:12",
  readyTimeoutMs: 60_000,
  env: { A: "1" },
  limits: { cpus: 0.5, memoryBytes: 1 << 30, pids: 100 },
  allowPrivilegeEscalation: false,
};

describe("template records", () => {
  it("keeps a specification as it is, optional parts absent or present", () => {
    expect(templateSpecSchema.parse(spec)).toEqual(spec);
    const full = { ...spec, startCommand: "sleep 1", readyCommand: "true", user: "app", cwd: "/work" };
    expect(templateSpecSchema.parse(full)).toEqual(full);
  });

  it.each([
    ["a name with a slash", { name: "a/b" }],
    ["no image", { image: "" }],
    ["no time to get ready", { readyTimeoutMs: 0 }],
    ["a negative limit", { limits: { cpus: -1 } }],
    ["half a byte", { limits: { memoryBytes: 0.5 } }],
    ["an unknown limit", { limits: { gpus: 1 } }],
    ["an unknown key", { extra: 1 }],
    ["an undefined command", { startCommand: undefined }],
  ])("refuses %s", (_name, over) => {
    expect(templateSpecSchema.safeParse({ ...spec, ...over }).success).toBe(false);
  });

  it.each([
    [{ status: "building" }, true],
    [{ status: "ready", checkpoint: "abcdefghij0123456789" }, true],
    [{ status: "ready" }, false],
    [{ status: "failed", reason: "x" }, true],
    [{ status: "building", reason: "x" }, false],
    [{ status: "gone" }, false],
  ])("reads the state %j: %s", (state, ok) => {
    const since = "2026-01-02T03:04:05.678Z";
    expect(templateStateSchema.safeParse({ ...state, since }).success).toBe(ok);
  });
});
