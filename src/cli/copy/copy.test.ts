import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copyTree } from "./copy.js";
import { localSink, localSource } from "./local-tree.js";
import { checkedName, type Entry, joinPath, type Source } from "./tree.js";

const live = new AbortController().signal;
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ramet-copy-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function copy(from: string, to: string, source: Source = localSource(live), isSameTree = false) {
  const skipped: string[] = [];
  const watcher = { onBytes: () => {}, onSkipped: (path: string) => void skipped.push(path) };
  const request = { from, to, followLink: false, isSameTree };
  const copied = await copyTree(source, localSink(), request, watcher);
  return { ...copied, skipped };
}

async function makeTree(path: string): Promise<void> {
  await mkdir(join(path, "sub"), { recursive: true });
  await writeFile(join(path, "a"), "one");
  await writeFile(join(path, "sub/run"), "two");
  await chmod(join(path, "sub/run"), 0o750);
  await symlink("../a", join(path, "sub/link"));
}

describe("where a copy goes", () => {
  it("a file into a directory, or under a new name", async () => {
    await makeTree(join(root, "tree"));
    await copy(join(root, "tree/a"), join(root, "tree/sub"));
    await copy(join(root, "tree/a"), join(root, "b"));
    expect(await readFile(join(root, "tree/sub/a"), "utf8")).toBe("one");
    expect(await readFile(join(root, "b"), "utf8")).toBe("one");
  });

  it("a directory as a new one, into an existing one, or its contents", async () => {
    await makeTree(join(root, "tree"));
    await copy(join(root, "tree"), join(root, "new"));
    await copy(join(root, "tree"), join(root, "new"));
    await copy(`${root}/tree/.`, join(root, "new/sub"));
    for (const path of ["new/sub/link", "new/tree/sub/run", "new/sub/sub/run"])
      expect(existsSync(join(root, path)), path).toBe(true);
  });

  it("not into itself, nor what is no file at all", async () => {
    await makeTree(join(root, "tree"));
    const tree = join(root, "tree");
    for (const to of [tree, `${tree}/new`, `${tree}/sub/../sub`, `${root}/./tree/sub/..`])
      await expect(copy(tree, to, localSource(live), true), to).rejects.toMatchObject({
        code: "invalid_argument",
      });
    await copy(tree, `${root}/tree-too`, localSource(live), true);
    execFileSync("mkfifo", [join(root, "fifo")]);
    await expect(copy(join(root, "fifo"), join(root, "out"))).rejects.toMatchObject({
      code: "failed_precondition",
    });
  });

  it("never a directory onto a file, nor a file into nowhere", async () => {
    await makeTree(join(root, "tree"));
    await expect(copy(join(root, "tree"), join(root, "tree/a"))).rejects.toThrow("which is a file");
    await expect(copy(join(root, "tree/a"), join(root, "no/"))).rejects.toThrow("no such directory");
    await expect(copy(join(root, "nothing"), join(root, "b"))).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("what is kept", () => {
  it("modes, links and counts; not set-id bits", async () => {
    await makeTree(join(root, "tree"));
    await chmod(join(root, "tree/a"), 0o4755);
    const copied = await copy(join(root, "tree"), join(root, "new"));
    expect(copied).toEqual({ files: 2, directories: 2, symlinks: 1, bytes: 6, skipped: [] });
    expect((await stat(join(root, "new/sub/run"))).mode & 0o7777).toBe(0o750);
    expect((await stat(join(root, "new/a"))).mode & 0o7777).toBe(0o755);
    expect(await readlink(join(root, "new/sub/link"))).toBe("../a");
  });
});

/** A source that lists what it likes. */
function hostile(listing: Readonly<Record<string, readonly Entry[]>>): Source {
  return {
    entry: async (path) => ({ path, name: "x", type: "directory", mode: 0o755, sizeBytes: 0 }),
    async *children({ path }) {
      yield* listing[path] ?? [];
    },
    async *data() {
      yield Buffer.from("evil");
    },
  };
}

function entry(path: string, fields: Partial<Entry>): Entry {
  return {
    path,
    name: path.slice(path.lastIndexOf("/") + 1),
    type: "regular",
    mode: 0o644,
    sizeBytes: 4,
    ...fields,
  };
}

describe("a hostile source", () => {
  it("cannot write through a link that it planted in the same copy", async () => {
    await mkdir(join(root, "victim"));
    const source = hostile({
      "/x": [
        entry("/x/d", { type: "symlink", symlinkTarget: join(root, "victim") }),
        entry("/x/d", { type: "directory" }),
      ],
      "/x/d": [entry("/x/d/file", {})],
    });
    await copy("/x", join(root, "out"), source).catch(() => {});
    expect(existsSync(join(root, "victim/file"))).toBe(false);
  });

  it("nor through one from an earlier copy", async () => {
    await mkdir(join(root, "victim"));
    await mkdir(join(root, "out"));
    await symlink(join(root, "victim"), join(root, "out/d"));
    await symlink(join(root, "victim/file"), join(root, "out/f"));
    const source = hostile({
      "/.": [entry("/f", {}), entry("/d", { type: "directory" })],
      "/d": [entry("/d/file", {})],
    });
    await expect(copy("/.", join(root, "out"), source)).rejects.toThrow("something else is there");
    expect(existsSync(join(root, "victim/file"))).toBe(false);
    expect((await lstat(join(root, "out/f"))).isFile()).toBe(true);
  });

  it.each(["", ".", "..", "a/b", "a\0"])("cannot call a file %j", (name) => {
    expect(() => checkedName(name)).toThrow("impossible name");
  });

  it("makes no devices", async () => {
    const source = hostile({ "/x": [entry("/x/dev", { type: "other" })] });
    expect((await copy("/x", join(root, "out"), source)).skipped).toEqual(["/x/dev"]);
  });

  it("cannot hide the rest behind a name that is no UTF-8", async () => {
    const source = hostile({ "/x": [entry("/x/a\ufffd", {}), entry("/x/b", {})] });
    const { files, skipped } = await copy("/x", join(root, "out"), source);
    expect([files, skipped]).toEqual([1, ["/x/a\ufffd"]]);
  });
});

describe("joinPath", () => {
  it("keeps what is there", () =>
    expect([joinPath("/", "a"), joinPath("/a/..", "b")]).toEqual(["/a", "/a/../b"]));
});
