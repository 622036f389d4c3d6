import { describe, expect, it } from "vitest";
import { addressOf } from "./host.js";

const byHeaders = { "e2b-sandbox-id": "abc1", "e2b-sandbox-port": "49983" };

describe("the address of a request", () => {
  it.each([
    ["49983-abc1.sbx.test", { sandbox: "abc1", port: 49983 }],
    ["8000-abc1.sbx.test:8443", { sandbox: "abc1", port: 8000 }],
    ["8000-ABC1.localhost:7070", { sandbox: "abc1", port: 8000 }],
    ["8000-abc1-6532622b.sbx.test", { sandbox: "abc1", port: 8000 }],
    ["0-abc1.sbx.test", undefined],
    ["65536-abc1.sbx.test", undefined],
    ["8000-abc1", undefined],
    ["api.sbx.test", undefined],
    ["x-abc1.sbx.test", undefined],
    ["", undefined],
  ])("%s", (host, address) => {
    expect(addressOf({ host })).toEqual(address);
  });

  it.each(["localhost:7070", "127.0.0.1:7070", "[::1]:7070", "sandbox.sbx.test"])("%s by headers", (host) => {
    expect(addressOf({ host, ...byHeaders })).toEqual({ sandbox: "abc1", port: 49983 });
    expect(addressOf({ host })).toBeUndefined();
  });

  it("is the host's where both say something", () => {
    expect(addressOf({ host: "80-def2.sbx.test", ...byHeaders })).toEqual({ sandbox: "def2", port: 80 });
    expect(addressOf({ host: "api.sbx.test", ...byHeaders })).toBeUndefined();
  });

  it("is none where a header cannot be right", () => {
    for (const wrong of [
      { "e2b-sandbox-id": "a/b" },
      { "e2b-sandbox-port": "x" },
      { "e2b-sandbox-port": "0" },
    ])
      expect(addressOf({ host: "localhost", ...byHeaders, ...wrong })).toBeUndefined();
  });
});
