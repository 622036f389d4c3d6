import { describe, expect, it } from "vitest";
import { readRequest, writeRequest } from "./file-requests.js";
import { attachRequest, dialRequest, infoRequest, spawnRequest } from "./requests.js";
import { createFieldReader } from "./wire.js";

describe("requests", () => {
  it("begin with version and operation", () => {
    expect([...infoRequest()]).toEqual([1, 0, 1, 0]);
  });

  it("put a spawn's fields in order", () => {
    const request = spawnRequest(
      {
        argv: ["sh", "-c", "x"],
        env: { A: "1" },
        user: "u",
        cwd: "/",
        tag: "t",
        terminal: { rows: 2, columns: 3 },
      },
      true,
    );
    const reader = createFieldReader(request);
    expect([reader.u16(), reader.u16(), reader.u32(), reader.u16(), reader.u16(), reader.u32()]).toEqual([
      ...[1, 2, 1, 2, 3, 0],
    ]);
    expect([reader.str(), reader.str(), reader.str(), reader.list(), reader.list()]).toEqual([
      ...["u", "/", "t", ["sh", "-c", "x"], ["A=1"]],
    ]);
    reader.end();
  });

  it.each([
    ["stdin", { stdin: true }, true, 2],
    ["killOnClose", { killOnClose: true }, true, 4],
    ["no attach", {}, false, 8],
    ["clearEnv", { clearEnv: true }, true, 16],
  ])("set the flag of %s", (_name, options, attach, flags) => {
    expect(spawnRequest({ argv: ["x"], ...options }, attach).readUInt32LE(4)).toBe(flags);
  });

  it("refuse a 10 MiB argument list, an empty one, and a bad variable, before anything is sent", () => {
    const huge = "x".repeat(10 * 1024 * 1024);
    const invalid = expect.objectContaining({ code: "invalid_argument" });
    expect(() => spawnRequest({ argv: ["sh", huge] }, true)).toThrow(invalid);
    expect(() => spawnRequest({ argv: [] }, true)).toThrow(invalid);
    expect(() => spawnRequest({ argv: ["a\0b"] }, true)).toThrow(invalid);
    expect(() => spawnRequest({ argv: ["a"], env: { "A=B": "1" } }, true)).toThrow(invalid);
  });

  it("name a process by pid, else by tag", () => {
    const from = (target: { pid: number } | { tag: string }) => {
      const reader = createFieldReader(attachRequest(target, { from: { seq: 9 }, stdin: true }).subarray(4));
      return [reader.u32(), reader.str(), reader.u32(), reader.u8(), reader.u64()];
    };
    expect(from({ pid: 7 })).toEqual([7, "", 1, 2, 9]);
    expect(from({ tag: "t" })).toEqual([0, "t", 1, 2, 9]);
  });

  it("dial ports and sockets", () => {
    const tcp = createFieldReader(dialRequest({ kind: "tcp", port: 80 }, 5).subarray(4));
    expect([tcp.u8(), tcp.u16(), tcp.str(), tcp.u32()]).toEqual([0, 80, "", 5]);
    const unix = createFieldReader(dialRequest({ kind: "unix", path: "/s" }, 5).subarray(4));
    expect([unix.u8(), unix.u16(), unix.str(), unix.u32()]).toEqual([1, 0, "/s", 5]);
    const invalid = expect.objectContaining({ code: "invalid_argument" });
    expect(() => dialRequest({ kind: "tcp", port: 70_000 }, 5)).toThrow(invalid);
  });

  it("read to the end unless a length is asked for", () => {
    const lengthOf = (length?: number) =>
      readRequest("read", { path: "/f" }, length === undefined ? {} : { length }).readBigUInt64LE(
        4 + 4 + 6 + 8,
      );
    expect(lengthOf()).toBe(2n ** 64n - 1n);
    expect(lengthOf(3)).toBe(3n);
  });

  it.each([
    ["replacing", {}, 3],
    ["appending", { existing: "append" }, 5],
    ["refusing what exists", { existing: "refuse" }, 9],
    ["updating in place", { existing: "update", create: false }, 0],
    ["atomic, with parents and sync", { atomic: true, parents: true, sync: true }, 3 + 16 + 32 + 64],
  ] as const)("write, %s", (_name, options, flags) => {
    expect(writeRequest({ path: "/f" }, options).readUInt32LE(4 + 4 + 6)).toBe(flags);
  });
});
