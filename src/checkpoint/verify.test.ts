import { createHash } from "node:crypto";
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createVerifier } from "./verify.js";

const limits = { parallel: 2, rememberMax: 100 };
let dir = "";
const inside = (path: string) => join(dir, "c1", path);
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-verify-"));
  await mkdir(inside("images"), { recursive: true });
  await writeFile(inside("images/pages-1.img"), Buffer.alloc(3_000_000, 7));
  await writeFile(inside("images/core-1.img"), "core");
  await writeFile(inside("config"), "");
});
afterEach(() => rm(dir, { recursive: true }));

describe("verifier", () => {
  it("digests all files, sorted, and finds them unchanged", async () => {
    const verifier = createVerifier(limits);
    const files = await verifier.digest(inside(""));
    expect(files.map((f) => [f.path, f.sizeBytes])).toEqual([
      ["config", 0],
      ["images/core-1.img", 4],
      ["images/pages-1.img", 3_000_000],
    ]);
    expect(files[0]?.sha256).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(await verifier.verify(inside(""), files)).toEqual([]);
    expect(await createVerifier(limits).verify(inside(""), files)).toEqual([]);
  });

  it("goes on from what has been read of a file", async () => {
    const verifier = createVerifier(limits);
    const hash = createHash("sha256").update(Buffer.alloc(1_000_000, 7));
    const begun = new Map([["images/pages-1.img", { hash, position: 1_000_000 }]]);
    expect(await verifier.digest(inside(""), { begun })).toEqual(
      await createVerifier(limits).digest(inside("")),
    );
  });

  it("does not read a file again that nobody may write to when it gets another name", async () => {
    const path = inside("images/pages-1.img");
    const verifier = createVerifier(limits);
    await chmod(path, 0o440);
    await utimes(path, 1000, 1000);
    const files = await verifier.digest(inside(""));
    await link(path, join(dir, "another"));
    await writeFile(path, Buffer.alloc(3_000_000, 8));
    await utimes(path, 1000, 1000);
    expect(await verifier.verify(inside(""), files)).toEqual([]);
    expect(await verifier.verify(inside(""), files, { fresh: true })).toHaveLength(1);
  });

  const damages: [string, () => Promise<unknown>, RegExp | undefined][] = [
    [
      "a flipped byte",
      () => writeFile(inside("images/core-1.img"), "cose"),
      /^images\/core-1.img has changed/,
    ],
    ["a missing file", () => rm(inside("images/core-1.img")), /^images\/core-1.img is missing/],
    ["a shorter file", () => truncate(inside("images/pages-1.img"), 5), /has 5 bytes instead of 3000000/],
    [
      "a link in place of a file",
      async () => {
        await rename(inside("config"), join(dir, "elsewhere"));
        await symlink(join(dir, "elsewhere"), inside("config"));
      },
      /^config is missing/,
    ],
    [
      "a directory in place of a file",
      async () => {
        await rm(inside("config"));
        await mkdir(inside("config"));
      },
      /^config is missing/,
    ],
    ["one more file", () => writeFile(inside("dump.log"), "x"), undefined],
    ["a touched file", () => utimes(inside("config"), 1, 1), undefined],
  ];
  it.each(damages)("reports %s", async (_name, damage, message) => {
    const verifier = createVerifier(limits);
    const files = await verifier.digest(inside(""));
    await damage();
    const problems = await verifier.verify(inside(""), files);
    expect(problems.length).toBe(message === undefined ? 0 : 1);
    if (message !== undefined) expect(problems[0]).toMatch(message);
  });

  it("finds a moved directory unchanged, and reads it again when asked to", async () => {
    const verifier = createVerifier(limits);
    const files = await verifier.digest(inside(""));
    await rename(inside(""), join(dir, "c2"));
    expect(await verifier.verify(join(dir, "c2"), files)).toEqual([]);
    expect(await verifier.verify(join(dir, "c2"), files, { fresh: true })).toEqual([]);
  });

  it("stops when its signal aborts", async () => {
    const reading = createVerifier(limits).digest(inside(""), {}, AbortSignal.abort(new Error("enough")));
    await expect(reading).rejects.toThrow("enough");
  });

  it("remembers no more than it may", async () => {
    const verifier = createVerifier({ ...limits, rememberMax: 1 });
    const files = await verifier.digest(inside(""));
    expect(await verifier.verify(inside(""), files)).toEqual([]);
  });
});
