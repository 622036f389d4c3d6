/** Files through E2B's own client, unmodified. */
import {
  FileNotFoundError,
  FilesystemEventType,
  FileType,
  InvalidArgumentError,
  NotFoundError,
  Sandbox,
} from "e2b";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { becomes } from "../../support/box.js";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("envd-files");
const options = () => ({ apiKey: mainKey, apiUrl: box.url, sandboxUrl: box.url });
const asUser = { user: "user" } as const;

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await Sandbox.create("base", options());
});
afterAll(async () => {
  await sandbox?.kill();
});

describe("contents", () => {
  it("are written and read, with the directories above them", async () => {
    const written = await sandbox.files.write("deep/er/note.txt", "Grüße 😀", asUser);
    expect(written).toEqual({
      ...{ name: "note.txt", path: "/home/user/deep/er/note.txt", type: "file" },
    });
    expect(await sandbox.files.read("deep/er/note.txt", asUser)).toBe("Grüße 😀");
    expect(await sandbox.files.read("~/deep/er/../er/note.txt", asUser)).toBe("Grüße 😀");
    const owners = await sandbox.commands.run("stat -c %U:%a deep deep/er deep/er/note.txt", {
      ...asUser,
      cwd: "/home/user",
    });
    expect(owners.stdout).toBe("user:755\nuser:755\nuser:644\n");
  });

  it("may be empty, binary, many, packed, streams", async () => {
    await sandbox.files.write("/tmp/empty", "");
    expect(await sandbox.files.read("/tmp/empty")).toBe("");
    const bytes = new Uint8Array(300_000).map((_, index) => (index * 7919) % 256);
    await sandbox.files.write("/tmp/bytes", bytes.buffer);
    expect(Buffer.from(await sandbox.files.read("/tmp/bytes", { format: "bytes" }))).toEqual(
      Buffer.from(bytes),
    );
    const many = Array.from({ length: 60 }, (_, index) => ({
      path: `/tmp/many/${index}`,
      data: `file ${index}`,
    }));
    expect(await sandbox.files.write(many)).toHaveLength(60);
    expect(await sandbox.files.read("/tmp/many/59")).toBe("file 59");
    await sandbox.files.write("/tmp/packed", "x".repeat(100_000), { gzip: true });
    expect(await sandbox.files.read("/tmp/packed", { gzip: true })).toBe("x".repeat(100_000));
    await sandbox.files.write("/tmp/stream", new Blob(["from a ", "stream"]).stream());
    const stream = await sandbox.files.read("/tmp/stream", { format: "stream" });
    expect(await new Response(stream).text()).toBe("from a stream");
  });

  it("of what is none are refused at once", async () => {
    await expect(sandbox.files.read("/tmp/none")).rejects.toThrow(FileNotFoundError);
    await sandbox.commands.run("mkfifo /tmp/fifo");
    for (const path of ["/tmp", "/tmp/fifo", "/dev/zero", "/dev/tty"])
      await expect(sandbox.files.read(path), path).rejects.toThrow(InvalidArgumentError);
    for (const path of ["/tmp", "/tmp/fifo", "/tmp/a\0b", `/tmp/${"x".repeat(5_000)}`, "/etc/hostname/x"])
      await expect(sandbox.files.write(path, "x"), JSON.stringify(path.slice(0, 20))).rejects.toThrow(
        InvalidArgumentError,
      );
  });

  it("are worked on with root's rights where the user's do not do, and what is made is the user's", async () => {
    const { files } = sandbox;
    await files.write("/made/by/user", "x", asUser);
    expect(await files.makeDir("/made-too/deeper", asUser)).toBe(true);
    await files.rename("/made/by/user", "/moved/there", asUser);
    const owners = "stat -c %U:%a /made /made/by /made-too/deeper /moved /moved/there";
    expect((await sandbox.commands.run(owners)).stdout).toBe(
      "user:755\nuser:755\nuser:755\nuser:755\nuser:644\n",
    );
    await sandbox.commands.run("umask 077; mkdir /root/closed; echo secret > /root/closed/file", {
      user: "root",
    });
    expect(await files.read("/root/closed/file", asUser)).toBe("secret\n");
    expect(await files.list("/root/closed", asUser)).toHaveLength(1);
    await files.remove("/root/closed", asUser);
    expect(await files.exists("/root/closed", asUser)).toBe(false);
  });

  it("pass by without being held", async () => {
    const size = 128 * 1024 * 1024;
    const piece = new Uint8Array(1024 * 1024).fill(120);
    let left = size;
    const body = new ReadableStream({
      pull(controller) {
        if (left <= 0) return controller.close();
        left -= piece.length;
        controller.enqueue(piece);
      },
    });
    const before = process.memoryUsage.rss();
    let most = before;
    const watching = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss());
    }, 20);
    try {
      await sandbox.files.write("/tmp/big", body, { requestTimeoutMs: 100_000 });
      const stream = await sandbox.files.read("/tmp/big", { format: "stream", requestTimeoutMs: 100_000 });
      let bytes = 0;
      for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) bytes += chunk.length;
      expect(bytes).toBe(size);
    } finally {
      clearInterval(watching);
    }
    await sandbox.files.remove("/tmp/big");
    // Client and server are both in this process.
    expect((most - before) / 2 ** 20).toBeLessThan(96);
  }, 120_000);
});

describe("names", () => {
  it("are made, told apart, listed in order, moved and removed", async () => {
    const { files } = sandbox;
    expect(await files.makeDir("tree/b", asUser)).toBe(true);
    expect(await files.makeDir("tree/b", asUser)).toBe(false);
    await files.write("tree/b/file", "1234", asUser);
    await files.write("tree/a", "x", asUser);
    await sandbox.commands.run("ln -s b/file link; ln -s nowhere dangling", {
      ...asUser,
      cwd: "/home/user/tree",
    });
    await expect(files.makeDir("tree/a", asUser)).rejects.toThrow(InvalidArgumentError);
    const listed = await files.list("tree", { depth: 3, ...asUser });
    expect(listed.map(({ path }) => path.slice("/home/user/tree/".length))).toEqual([
      "a",
      "b",
      "b/file",
      "link",
    ]);
    expect(await files.getInfo("tree/b/file", asUser)).toMatchObject({
      ...{ name: "file", type: FileType.FILE, path: "/home/user/tree/b/file", size: 4, mode: 0o644 },
      ...{ permissions: "-rw-r--r--", owner: "user", group: "user" },
    });
    expect(await files.getInfo("tree/link", asUser)).toMatchObject({
      ...{
        type: FileType.FILE,
        symlinkTarget: "/home/user/tree/b/file",
        permissions: "Lrwxrwxrwx",
        mode: 0o644,
      },
    });
    expect(await files.getInfo("tree/b", asUser)).toMatchObject({
      type: FileType.DIR,
      permissions: "drwxr-xr-x",
    });
    expect((await files.rename("tree/a", "new/place", asUser)).path).toBe("/home/user/new/place");
    expect(await files.exists("tree/a", asUser)).toBe(false);
    await files.remove("tree", asUser);
    await files.remove("tree", asUser);
    expect(await files.exists("tree/b", asUser)).toBe(false);
    await expect(files.list("tree", asUser)).rejects.toThrow(NotFoundError);
    await expect(files.list("new/place", asUser)).rejects.toThrow(InvalidArgumentError);
  });

  it("carry what is attached to them", async () => {
    const { files } = sandbox;
    await files.write("/tmp/tagged", "x", { metadata: { origin: "a test", step: "2" } });
    expect((await files.getInfo("/tmp/tagged")).metadata).toEqual({ origin: "a test", step: "2" });
    await files.write("/tmp/tagged", "x", { metadata: { step: "3" } });
    expect((await files.list("/tmp")).find(({ name }) => name === "tagged")?.metadata).toEqual({ step: "3" });
    await files.write("/tmp/tagged", "x");
    expect((await files.getInfo("/tmp/tagged")).metadata ?? {}).toEqual({});
  });
});

describe("a watch", () => {
  it("tells of changes, in directories made later too, with what they are about", async () => {
    await sandbox.files.makeDir("/tmp/watched");
    await sandbox.files.write("/tmp/watched/old", "1");
    const seen: { readonly type: string; readonly name: string; readonly entry?: unknown }[] = [];
    const watch = await sandbox.files.watchDir("/tmp/watched", (event) => void seen.push(event), {
      ...{ recursive: true, includeEntry: true, timeoutMs: 0 },
    });
    await sandbox.files.write("/tmp/watched/old", "2");
    await sandbox.files.write("/tmp/watched/sub/file", "3");
    await sandbox.files.rename("/tmp/watched/old", "/tmp/watched/new");
    await sandbox.files.remove("/tmp/watched/new");
    const has = (type: FilesystemEventType, name: string) =>
      seen.some((event) => event.type === type && event.name === name);
    await becomes("told", async () => has(FilesystemEventType.REMOVE, "new"));
    expect(has(FilesystemEventType.WRITE, "old")).toBe(true);
    expect(has(FilesystemEventType.CREATE, "sub")).toBe(true);
    expect(has(FilesystemEventType.RENAME, "old")).toBe(true);
    expect(seen.some(({ name }) => name === "sub/file")).toBe(true);
    expect(seen.find(({ name, type }) => name === "sub" && type === "create")?.entry).toMatchObject({
      type: "dir",
    });
    await watch.stop();
    await expect(sandbox.files.watchDir("/tmp/watched/sub/file", () => {})).rejects.toThrow(
      InvalidArgumentError,
    );
    await expect(sandbox.files.watchDir("/tmp/none", () => {})).rejects.toThrow(NotFoundError);
  });

  it("calls the directory itself by a dot, and ends without an error when that is gone", async () => {
    await sandbox.files.makeDir("/tmp/passing");
    const seen: string[] = [];
    const ended = new Promise((resolve) => {
      const options = { timeoutMs: 0, onExit: resolve };
      void sandbox.files.watchDir(
        "/tmp/passing",
        ({ type, name }) => void seen.push(`${type} ${name}`),
        options,
      );
    });
    await becomes("watched", async () => {
      await sandbox.commands.run("chmod 700 /tmp/passing");
      return seen.includes("chmod .");
    });
    await sandbox.files.remove("/tmp/passing");
    expect(await ended).toBeUndefined();
    expect(seen.at(-1)).toBe("remove .");
  });
});
