import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { linkMemory } from "./link-memory.js";

let dir: string;
let from: string;
let to: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-link-"));
  from = join(dir, "from");
  to = join(dir, "to");
  await mkdir(from);
  await mkdir(to);
  await writeFile(join(from, "c1-1"), "one");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

it("gives files a second name, also twice", async () => {
  await linkMemory(from, to, ["c1-1"]);
  await linkMemory(from, to, ["c1-1"]);
  expect((await stat(join(to, "c1-1"))).nlink).toBe(2);
  await rm(join(from, "c1-1"));
  expect(await readFile(join(to, "c1-1"), "utf8")).toBe("one");
});

it.each([
  ["is missing", "c2-1", "failed_precondition"],
  ["leads elsewhere", "../from/c1-1", "invalid_argument"],
  ["is no name", "..", "invalid_argument"],
])("refuses a file that %s", async (_what, name, code) => {
  await expect(linkMemory(from, to, [name])).rejects.toMatchObject({ code });
});

it("leaves another file of that name alone", async () => {
  await writeFile(join(to, "c1-1"), "other");
  await expect(linkMemory(from, to, ["c1-1"])).rejects.toMatchObject({ code: "already_exists" });
  expect(await readFile(join(to, "c1-1"), "utf8")).toBe("other");
});
