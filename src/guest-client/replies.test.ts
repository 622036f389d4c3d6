import { describe, expect, it } from "vitest";
import { guestErrorOf } from "./errors.js";
import { modifiedAt, readEntry, readWatchEvent } from "./file-replies.js";
import { decode, readError, readExit, readIdentitySet, readOutput, readProcess } from "./replies.js";
import { createFieldWriter } from "./wire.js";

const errorPayload = (code: number, errno: number, message: string) =>
  createFieldWriter().u16(code).u16(0).i32(errno).str(message).finish();

describe("error frame", () => {
  it.each([
    [6, 2, "not_found", "not_found"],
    [7, 13, "permission_denied", "failed_precondition"],
    [8, 17, "exists", "already_exists"],
    [12, 28, "no_space", "resource_exhausted"],
    [18, 2, "exec_failed", "not_found"],
    [18, 13, "exec_failed", "failed_precondition"],
    [22, 111, "refused", "unavailable"],
    [30, 2, "bad_cwd", "not_found"],
  ])("code %i with errno %i is %s", (code, errno, name, domain) => {
    const error = readError(errorPayload(code, errno, "said"), "cannot x");
    expect(error).toMatchObject({ code: domain, message: "cannot x: said" });
    expect(guestErrorOf(error)).toMatchObject({ code: name, errno });
  });

  it("makes what the guest says safe to print", () => {
    const error = readError(errorPayload(6, 2, "\u001b[2Jx\n"), "cannot x");
    expect(error.message).toBe("cannot x: ?[2Jx?");
  });

  it("refuses a code that the protocol has not", () => {
    expect(readError(errorPayload(999, 0, ""), "cannot x").message).toMatch(/broke its protocol/);
  });
});

const exitFields = (kind: number, status: number) =>
  createFieldWriter().u8(kind).u8(0).u16(0).i32(status).u64(10).u64(20).u64(30).u64(4).u64(1000);

describe("process frames", () => {
  it("tells exit codes from signals", () => {
    expect(decode(exitFields(0, 3).finish(), readExit)).toEqual({
      status: { kind: "code", code: 3 },
      seq: 10,
      userUs: 20,
      systemUs: 30,
      rssMaxBytes: 4096,
      endedAt: new Date(1000),
    });
    expect(decode(exitFields(1, 9).finish(), readExit).status).toEqual({
      kind: "signal",
      signal: 9,
      coreDumped: false,
    });
    expect(() => decode(exitFields(2, 9).finish(), readExit)).toThrow(/kind of exit/);
  });

  it("reads a process record", () => {
    const payload = Buffer.concat([
      createFieldWriter()
        .u64(5)
        .u32(77)
        .u8(1)
        .u8(1 | 2 | 16)
        .u16(3)
        .u64(2000)
        .u64(0)
        .u64(9)
        .finish(),
      exitFields(0, 0).finish(),
      createFieldWriter().str("tag").str("user").str("/home").list(["sh", "-c"]).finish(),
    ]);
    expect(decode(payload, readProcess)).toEqual({
      ...{
        spawnId: 5,
        pid: 77,
        state: "running",
        readers: 3,
        startedAt: new Date(2000),
        oldestSeq: 0,
        endSeq: 9,
      },
      ...{ terminal: true, stdinOpen: true, outputOpen: false, argvCut: false, held: true },
      ...{ tag: "tag", user: "user", cwd: "/home", argv: ["sh", "-c"] },
    });
    expect(() => decode(Buffer.concat([payload, Buffer.of(0)]), readProcess)).toThrow(/left over/);
  });

  it("reads output and refuses unknown streams and empty frames", () => {
    const output = (stream: number, text: string) =>
      Buffer.concat([createFieldWriter().u64(8).u8(stream).finish(), Buffer.from(text)]);
    expect(decode(output(2, "ab"), readOutput)).toEqual({
      seq: 8,
      stream: "stderr",
      data: Buffer.from("ab"),
    });
    for (const bad of [output(0, "a"), output(4, "a"), output(1, "")]) {
      expect(() => decode(bad, readOutput)).toThrow(/broke its protocol/);
    }
  });

  it("names what identity could not write", () => {
    expect(decode(createFieldWriter().u32(0b1010).finish(), readIdentitySet)).toEqual([
      "hosts",
      "generation",
    ]);
    expect(() => decode(createFieldWriter().u32(16).finish(), readIdentitySet)).toThrow(/identity/);
  });
});

describe("file frames", () => {
  const entry = (type: number, target: number, attributes = 0) =>
    Buffer.concat([
      createFieldWriter().u8(type).u8(target).u16(attributes).u32(0o755).u32(1).u32(2).u32(1).finish(),
      Buffer.alloc(8, 0xff),
      createFieldWriter().u64(1_700_000_000_123_456n).finish(),
      createFieldWriter().str("n").str("/n").str("root").str("").str("/to").finish(),
    ]);

  it("reads an entry, its size bounded", () => {
    const read = decode(entry(3, 2), readEntry);
    expect(read).toMatchObject({
      type: "symlink",
      targetType: "directory",
      symlinkTarget: "/to",
      sizeBytes: Number.MAX_SAFE_INTEGER,
    });
    expect(modifiedAt(read)).toEqual(new Date(1_700_000_000));
    expect(decode(entry(1, 0), readEntry)).not.toHaveProperty("symlinkTarget");
    expect(() => decode(entry(9, 0), readEntry)).toThrow(/file type/);
  });

  it.each([
    [0, undefined],
    [1, false],
    [3, true],
  ])("takes %i for what the guest has seen of attributes", (attributes, has) => {
    expect(decode(entry(1, 0, attributes), readEntry).hasAttributes).toBe(has);
  });

  it("reads a watch event", () => {
    const event = (kind: number) => createFieldWriter().u8(kind).u8(1).u16(0).u32(7).str("a/b").finish();
    expect(decode(event(4), readWatchEvent)).toEqual({
      kind: "renamed",
      type: "file",
      cookie: 7,
      name: "a/b",
    });
    for (const kind of [0, 8]) expect(() => decode(event(kind), readWatchEvent)).toThrow(/unknown kind/);
  });
});
