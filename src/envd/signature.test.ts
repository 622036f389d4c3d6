import { describe, expect, it } from "vitest";
import { checkAccess, checkToken, signatureOf } from "./signature.js";

const token = "0tQG31xiMp0IOQfaz9dcwi72L1CPo8e0";
const now = new Date("2026-11-27T12:00:00Z");
const seconds = now.getTime() / 1000;
const words = { operation: "read", path: "hello.txt", username: "user" } as const;

const check = (query: Record<string, string>, given?: string) =>
  checkAccess(token, { operation: "read", query: new URLSearchParams(query), token: given }, now);

describe("a signature", () => {
  it("is that of E2B's clients", () => {
    expect(signatureOf(token, words)).toBe("v1_gUtH/s9YCJWgCizjfUxuWfhFE4QSydOWEIIvfLwDr6E");
  });

  it("opens the path, operation and user that it was made for", () => {
    const query = { path: "hello.txt", username: "user", signature: signatureOf(token, words) };
    expect(() => check(query)).not.toThrow();
    for (const changed of [{ path: "other.txt" }, { username: "root" }, { signature: "v1_x" }])
      expect(() => check({ ...query, ...changed })).toThrow("invalid signature");
    const writing = { operation: "write", query: new URLSearchParams(query), token: undefined } as const;
    expect(() => checkAccess(token, writing, now)).toThrow("invalid signature");
  });

  it("ends when it says", () => {
    const at = (expiration: string) => ({
      ...{ path: "hello.txt", username: "user", signature_expiration: expiration },
      signature: signatureOf(token, { ...words, expiration }),
    });
    expect(() => check(at(String(seconds + 10)))).not.toThrow();
    for (const expiration of [String(seconds - 1), "soon", ""])
      expect(() => check(at(expiration)), expiration).toThrow("signature is already expired");
    expect(() => check({ ...at(String(seconds - 1)), signature_expiration: String(seconds + 10) })).toThrow(
      "invalid signature",
    );
  });
});

describe("the token of the header", () => {
  it("is enough, and is no better for a signature beside it", () => {
    expect(() => check({}, token)).not.toThrow();
    expect(() => check({ signature: signatureOf(token, words) }, "other")).toThrow("does not match");
    expect(() => check({})).toThrow("missing signature");
  });

  it("has to be the sandbox's", () => {
    expect(() => checkToken(token, token)).not.toThrow();
    for (const given of [undefined, "", `${token}x`]) expect(() => checkToken(token, given)).toThrow();
  });
});
