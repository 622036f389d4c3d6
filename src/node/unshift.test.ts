import { execFileSync } from "node:child_process";
import {
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
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

it("takes files whose names are no UTF-8", async () => {
  const name = Buffer.concat([Buffer.from(`${root}/x`), Buffer.from([0xff, 0xfe])]);
  mkdirSync(name);
  writeFileSync(Buffer.concat([name, Buffer.from("/y"), Buffer.from([0x80])]), "inside");
  chownSync(name, 100_005, 100_006);
  await unshiftOwners(root, { base: 100_000, size: 65_536 });
  expect(lstatSync(name)).toMatchObject({ uid: 5, gid: 6 });
});
