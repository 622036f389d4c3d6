import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { syncTree, syncWritten, writeFileAtomic } from "./atomic-file.js";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-atomic-"));
});
afterEach(() => rm(dir, { recursive: true }));

describe("writeFileAtomic", () => {
  it("writes and replaces, private by default, and leaves no temporary file", async () => {
    const path = join(dir, "a.json");
    await writeFileAtomic(path, "one");
    await writeFileAtomic(path, Buffer.from("two"));
    expect(await readFile(path, "utf8")).toBe("two");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(dir)).toEqual(["a.json"]);
  });

  it("leaves the old file and nothing else when it fails", async () => {
    const path = join(dir, "target");
    await mkdir(join(path, "sub"), { recursive: true });
    await expect(writeFileAtomic(path, "x")).rejects.toThrow();
    expect(await readdir(dir)).toEqual(["target"]);
  });

  it("replaces a link instead of following it", async () => {
    await writeFile(join(dir, "secret"), "kept");
    await symlink(join(dir, "secret"), join(dir, "link"));
    await writeFileAtomic(join(dir, "link"), "new", { mode: 0o644 });
    expect(await readFile(join(dir, "secret"), "utf8")).toBe("kept");
  });
});

describe("directories", () => {
  it("syncs a tree with names of any bytes, without following links", async () => {
    await mkdir(join(dir, "tmp", "sub"), { recursive: true });
    await writeFile(join(dir, "tmp", "sub", "pages"), "x");
    await symlink("/nonexistent", join(dir, "tmp", "dangling"));
    await chmod(join(dir, "tmp", "sub", "pages"), 0o400);
    await writeFile(
      Buffer.concat([Buffer.from(join(dir, "tmp", "sub", "no-utf8-")), Buffer.from([0xff])]),
      "x",
    );
    await syncTree(join(dir, "tmp"));
    expect(await readdir(join(dir, "tmp"))).toEqual(["dangling", "sub"]);
  });

  it("syncs what was written into one, but no links, and fails with the signal's reason", async () => {
    for (let index = 0; index < 40; index++)
      await writeFile(join(dir, `image-${index}`), "x", { mode: 0o400 });
    await symlink("/nonexistent", join(dir, "dangling"));
    await mkdir(join(dir, "sub"));
    await syncWritten(dir);
    await expect(syncWritten(dir, AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
    await expect(syncWritten(join(dir, "gone"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
