import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { unshiftOwners } from "./unshift.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "unshift-"));
});
afterEach(() => rmSync(root, { recursive: true }));

it("gives what a tree takes on disk, a file with several names once", async () => {
  mkdirSync(join(root, "a/b"), { recursive: true });
  writeFileSync(join(root, "a/b/file"), Buffer.alloc(100_000, 1));
  writeFileSync(join(root, "small"), "x");
  linkSync(join(root, "a/b/file"), join(root, "a/again"));
  symlinkSync("nowhere", join(root, "link"));
  const { sizeBytes } = await unshiftOwners(root, { base: 4_000_000_000, size: 65_536 });
  const du = Number(
    execFileSync("du", ["-s", "--block-size=512", root], { encoding: "utf8" }).split("\t")[0],
  );
  expect(sizeBytes).toBe(du * 512);
});
