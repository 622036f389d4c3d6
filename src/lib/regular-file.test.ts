import { execFileSync } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openRegular } from "./regular-file.js";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-regular-"));
  await writeFile(join(dir, "file"), "text");
  await symlink("file", join(dir, "link"));
  await symlink("loop", join(dir, "loop"));
  execFileSync("mkfifo", [join(dir, "fifo")]);
});
afterEach(() => rm(dir, { recursive: true }));

it("opens a regular file", async () => {
  await using file = await openRegular(join(dir, "file"));
  expect(await file?.readFile("utf8")).toBe("text");
});

it.each(["link", "loop", "fifo", ".", "none", "file/below"])("opens nothing at %s", async (name) => {
  expect(await openRegular(join(dir, name))).toBeUndefined();
});
