import { createHash } from "node:crypto";
import { chmod, mkdir, readFile, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FileChange, FileInfo } from "../../../src/node/files.js";
import { openSockets, untilSocketsAre } from "./descriptors.js";
import { soon, startSandbox, type TestSandbox } from "./start-sandbox.js";

let box: TestSandbox;
let dir: string;
beforeAll(async () => {
  box = await startSandbox();
  dir = join(box.guest.dir, "files");
  await chmod(box.guest.dir, 0o755);
  await mkdir(dir, { mode: 0o777 });
  await chmod(dir, 0o777);
});
afterAll(() => box.stop());

const at = (name: string, user?: string) => ({
  sandbox: box.id,
  path: join(dir, name),
  ...(user === undefined ? {} : { user }),
});

const mebibyte = 1024 * 1024;

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function contentOf(name: string, range = {}): Promise<{ file: FileInfo; content: Buffer }> {
  const { file, data } = await box.files.read(at(name), { offset: 0, ...range }, soon());
  return { file, content: Buffer.concat(await collect(data)) };
}

async function* pieces(count: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) yield Buffer.alloc(mebibyte, index % 251);
}

/** Highest resident size of this process while `work` goes on, above that at its start. */
async function residentGrowth(work: Promise<unknown>): Promise<number> {
  const start = process.memoryUsage.rss();
  let highest = start;
  const timer = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage.rss());
  }, 5);
  await work.finally(() => clearInterval(timer));
  return highest - start;
}

describe("names", () => {
  it("are made, looked at, renamed and removed", async () => {
    await box.files.makeDir(at("a/b"), { parents: true, mode: 0o750 }, soon());
    await box.files.write(at("a/b/file"), { mode: 0o640, parents: false }, collectable("content"), soon());
    expect(await box.files.stat(at("a/b/file"), { follow: true }, soon())).toMatchObject({
      ...{ name: "file", type: "regular", sizeBytes: 7, mode: 0o640, uid: 0, owner: "root", group: "root" },
      path: join(dir, "a/b/file"),
    });
    await box.files.symlink(at("a/link"), "b/file", soon());
    expect(await box.files.stat(at("a/link"), { follow: false }, soon())).toMatchObject({
      ...{ type: "symlink", symlinkTarget: "b/file" },
    });
    await box.files.rename(at("a/b/file"), join(dir, "a/other"), { parents: false }, soon());
    await expect(box.files.remove(at("a"), { recursive: false }, soon())).rejects.toMatchObject({
      code: "failed_precondition",
    });
    await box.files.remove(at("a"), { recursive: true }, soon());
    await expect(box.files.stat(at("a"), { follow: true }, soon())).rejects.toMatchObject({
      code: "not_found",
    });
  });

  it("are listed to a depth", async () => {
    await box.files.makeDir(at("tree/one/two"), { parents: true, mode: 0o755 }, soon());
    for (const name of ["tree/x", "tree/one/y", "tree/one/two/z"]) await writeFile(join(dir, name), "");
    const listed = async (depth: number) =>
      (await collect(box.files.list(at("tree"), { depth }, soon()))).map(({ name }) => name).sort();
    expect(await listed(1)).toEqual(["one", "x"]);
    expect(await listed(2)).toEqual(["one", "two", "x", "y"]);
    expect(await listed(9)).toEqual(["one", "two", "x", "y", "z"]);
    await expect(listed(65)).rejects.toMatchObject({ code: "invalid_argument" });
  });

  it("are listed once each over a dump", async () => {
    await mkdir(join(dir, "many"));
    await execa("sh", ["-c", "seq 1 20000 | sed s/^/name-/ | xargs touch"], { cwd: join(dir, "many") });
    const names: string[] = [];
    for await (const { name } of box.files.list(at("many"), { depth: 1 }, soon())) {
      names.push(name);
      if (names.length % 4000 === 1) await box.dump();
    }
    expect(names.length).toBe(20_000);
    expect(new Set(names).size).toBe(20_000);
  });
});

describe("permissions", () => {
  it("are those of the user", async () => {
    await writeFile(join(dir, "secret"), "x", { mode: 0o600 });
    const refused = { code: "failed_precondition" };
    await expect(box.files.read(at("secret", "nobody"), { offset: 0 }, soon())).rejects.toMatchObject(
      refused,
    );
    const write = box.files.write(
      at("secret", "nobody"),
      { mode: 0, parents: false },
      collectable("y"),
      soon(),
    );
    await mkdir(join(dir, "closed"), { mode: 0o700 });
    await write.catch(() => {});
    const make = box.files.makeDir(at("closed/x", "nobody"), { parents: false, mode: 0 }, soon());
    await expect(make).rejects.toMatchObject(refused);
  });

  it("make what a user creates that user's", async () => {
    const file = await box.files.write(
      at("theirs", "nobody"),
      { mode: 0o644, parents: false },
      collectable("mine"),
      soon(),
    );
    expect(file).toMatchObject({ uid: 65534, owner: "nobody" });
  });

  it("do not let a user in that does not exist", async () => {
    await expect(box.files.stat(at("x", "nosuchuser"), { follow: true }, soon())).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });
});

describe("content", () => {
  it("is read from an offset and to a length", async () => {
    await writeFile(join(dir, "digits"), "0123456789");
    expect((await contentOf("digits", { offset: 3, length: 4 })).content.toString()).toBe("3456");
    expect((await contentOf("digits", { offset: 8 })).content.toString()).toBe("89");
    expect((await contentOf("digits", { offset: 20 })).content.toString()).toBe("");
  });

  it("is refused of what is no regular file", async () => {
    await execa("mkfifo", [join(dir, "fifo")]);
    for (const name of ["fifo", "."]) {
      await expect(box.files.read(at(name), { offset: 0 }, soon())).rejects.toMatchObject({
        code: "failed_precondition",
      });
    }
    const write = box.files.write(at("fifo"), { mode: 0, parents: false }, collectable("x"), soon());
    await expect(write).rejects.toMatchObject({ code: "failed_precondition" });
  });

  it("appears whole: a source that fails leaves what was there", async () => {
    await writeFile(join(dir, "kept"), "before");
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("partial");
      throw new Error("the source broke");
    }
    const write = box.files.write(at("kept"), { mode: 0, parents: false }, failing(), soon());
    await expect(write).rejects.toMatchObject({ code: "internal" });
    expect(await readFile(join(dir, "kept"), "utf8")).toBe("before");
  });

  it("goes through in bounded memory, 1 GiB each way", async () => {
    const write = box.files.write(at("big"), { mode: 0o644, parents: false }, pieces(1024), soon());
    expect(await residentGrowth(write)).toBeLessThan(200 * mebibyte);
    expect((await stat(join(dir, "big"))).size).toBe(1024 * mebibyte);
    let bytes = 0;
    const reading = (async () => {
      const { data } = await box.files.read(at("big"), { offset: 0 }, soon());
      for await (const piece of data) bytes += piece.length;
    })();
    expect(await residentGrowth(reading)).toBeLessThan(200 * mebibyte);
    expect(bytes).toBe(1024 * mebibyte);
    await truncate(join(dir, "big"));
  });

  it("is read on over dumps", async () => {
    const count = 64;
    await box.files.write(at("long"), { mode: 0o644, parents: false }, pieces(count), soon());
    const expected = createHash("sha256");
    for await (const piece of pieces(count)) expected.update(piece);
    const hash = createHash("sha256");
    const { data } = await box.files.read(at("long"), { offset: 0 }, soon());
    let bytes = 0;
    let dumps = 0;
    for await (const piece of data) {
      hash.update(piece);
      bytes += piece.length;
      if (bytes > (dumps + 1) * 8 * mebibyte) {
        await box.dump();
        dumps++;
      }
    }
    expect(dumps).toBeGreaterThan(5);
    expect(hash.digest("hex")).toBe(expected.digest("hex"));
  });

  it("that changes during a dump is not mixed", async () => {
    await box.files.write(at("changing"), { mode: 0o644, parents: false }, pieces(16), soon());
    const { data } = await box.files.read(at("changing"), { offset: 0 }, soon());
    const iterator = data[Symbol.asyncIterator]();
    await iterator.next();
    await box.guests.close(box.id, soon());
    await writeFile(join(dir, "changing"), "another");
    await box.guests.open(box.id, soon());
    const rest = (async () => {
      while ((await iterator.next()).done !== true);
    })();
    await expect(rest).rejects.toMatchObject({ code: "failed_precondition" });
  });

  it("that nobody reads to the end leaks no socket", async () => {
    await box.files.write(at("left"), { mode: 0o644, parents: false }, pieces(8), soon());
    const before = openSockets();
    for (let round = 0; round < 10; round++) {
      const { data } = await box.files.read(at("left"), { offset: 0 }, soon());
      const iterator = data[Symbol.asyncIterator]();
      if (round % 2 === 0) await iterator.next();
      await iterator.return?.();
    }
    const aborted = new AbortController();
    await box.files.read(at("left"), { offset: 0 }, aborted.signal);
    aborted.abort();
    await untilSocketsAre(before);
  });
});

describe("watches", () => {
  it("tell changes, and rescan after a dump", async () => {
    await mkdir(join(dir, "watched"));
    const changes: FileChange[] = [];
    const acts: Readonly<Record<string, () => Promise<unknown>>> = {
      ready: () => writeFile(join(dir, "watched/one"), "x"),
      write: () => box.dump(),
      rescan: () => writeFile(join(dir, "watched/two"), ""),
      "create two": () => box.files.remove(at("watched"), { recursive: true }, soon()),
    };
    const done = new Set<string>();
    for await (const change of box.files.watch(at("watched"), { recursive: true }, soon())) {
      changes.push(change);
      const key = change.path.endsWith("two") ? `${change.type} two` : change.type;
      if (done.has(key)) continue;
      done.add(key);
      await acts[key]?.();
    }
    const told = changes.map(({ type, path }) => `${type} ${path.slice(dir.length + 1)}`);
    expect(told.slice(0, 2)).toEqual(["ready watched", "create watched/one"]);
    expect(told).toContain("write watched/one");
    expect(told.filter((line) => line.startsWith("rescan"))).toEqual(["rescan watched"]);
    expect(told).toContain("create watched/two");
    expect(told.at(-1)).toBe("remove watched");
  });

  it("end when what they watch went during a dump", async () => {
    await mkdir(join(dir, "going"));
    const told: string[] = [];
    for await (const { type } of box.files.watch(at("going"), { recursive: false }, soon())) {
      told.push(type);
      if (type !== "ready") continue;
      await box.guests.close(box.id, soon());
      await execa("rmdir", [join(dir, "going")]);
      await box.guests.open(box.id, soon());
    }
    expect(told).toEqual(["ready", "remove"]);
  });

  it("refuse what is not there, and leak no socket when left", async () => {
    const before = openSockets();
    await expect(collect(box.files.watch(at("nothing"), { recursive: false }, soon()))).rejects.toMatchObject(
      {
        code: "not_found",
      },
    );
    await symlink("x", join(dir, "y"));
    for (let round = 0; round < 10; round++) {
      for await (const _ of box.files.watch(at("."), { recursive: false }, soon())) break;
    }
    await untilSocketsAre(before);
  });
});

async function* collectable(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
