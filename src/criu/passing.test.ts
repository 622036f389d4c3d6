import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { passingPath, removePassing } from "./passing.js";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-passing-"));
});
afterEach(() => rm(dir, { recursive: true }));

it("takes CRIU's empty directories out of the root and of /tmp, and nothing else", async () => {
  for (const path of [
    "tmp/cr-tmpfs.aB3xYz",
    "cr-tmpfs.000000",
    "home/cr-tmpfs.aB3xYz",
    "tmp/cr-tmpfs.more-of-it",
  ])
    await mkdir(join(dir, path), { recursive: true });
  await mkdir(join(dir, "tmp/cr-tmpfs.filled"));
  await writeFile(join(dir, "tmp/cr-tmpfs.filled/file"), "");
  await writeFile(join(dir, "tmp/cr-tmpfs.a-file"), "");
  await removePassing(dir);
  expect((await readdir(dir)).sort()).toEqual(["home", "tmp"]);
  expect((await readdir(join(dir, "tmp"))).sort()).toEqual([
    "cr-tmpfs.a-file",
    "cr-tmpfs.filled",
    "cr-tmpfs.more-of-it",
  ]);
  expect(await readdir(join(dir, "home"))).toEqual(["cr-tmpfs.aB3xYz"]);
});

it("does not follow a link", async () => {
  await mkdir(join(dir, "outside/cr-tmpfs.aB3xYz"), { recursive: true });
  await mkdir(join(dir, "layer"));
  await symlink("../outside", join(dir, "layer/tmp"));
  await removePassing(join(dir, "layer"));
  await removePassing(join(dir, "gone"));
  expect(await readdir(join(dir, "outside"))).toEqual(["cr-tmpfs.aB3xYz"]);
});

it("knows them in what cp says", () => {
  expect("cp: cannot stat '/layer/tmp/cr-tmpfs.aB3xYz': No such file or directory").toMatch(passingPath);
  expect("cp: cannot stat '/layer/tmp/cr-tmpfs.aB3xYz-mine': No such file or directory").not.toMatch(
    passingPath,
  );
});
