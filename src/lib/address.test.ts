import { describe, expect, it } from "vitest";
import { formatAddress, isLoopback, isWildcard, parseAddress, readAddress } from "./address.js";

describe("addresses", () => {
  it.each([
    ["node1.example:7072", "node1.example", 7072],
    ["localhost:0", "localhost", 0],
    ["10.0.0.5:65535", "10.0.0.5", 65_535],
    ["[fd00::5]:7072", "fd00::5", 7072],
    ["[::]:1", "::", 1],
  ])("reads %s", (text, host, port) => {
    expect(readAddress(text)).toEqual({ host, port });
    expect(formatAddress({ host, port })).toBe(text);
  });

  it.each(
    [
      ["", ":1", "host", "host:", "host:65536", "host:1x", "::1:7072", "[::1]", "[10.0.0.1]:1", "1.2.3:1"],
      ["300.1.1.1:1", "a..b:1", "-a:1", "a_b:1", "http://host:1", "host:1/", `${"a".repeat(64)}:1`],
    ].flat(),
  )("refuses %j", (text) => {
    expect(() => parseAddress("address", text)).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });

  it("tells what only this machine reaches, and what is no place to call", () => {
    expect(["localhost", "127.0.0.1", "127.9.9.9", "::1"].every(isLoopback)).toBe(true);
    expect(["127.example", "10.0.0.1", "0.0.0.0", "::", "example"].some(isLoopback)).toBe(false);
    expect(["0.0.0.0", "::", "0:0::0"].every(isWildcard)).toBe(true);
    expect(["10.0.0.0", "::1", "zero"].some(isWildcard)).toBe(false);
  });
});
