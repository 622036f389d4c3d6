import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { guestErrorOf } from "../../../src/guest-client/errors.js";
import type { WatchEvent } from "../../../src/guest-client/file-replies.js";
import { type StartedGuest, startGuest } from "./start-guest.js";

let guest: StartedGuest;
let dir: string;
const soon = () => AbortSignal.timeout(20_000);
const at = (name: string, user?: string) => ({
  path: join(dir, name),
  ...(user === undefined ? {} : { user }),
});

beforeAll(async () => {
  guest = await startGuest();
  dir = join(guest.dir, "files");
  await guest.client.files.makeDirectory({ path: dir }, {}, soon());
  await guest.client.files.changeMode({ path: dir }, 0o1777, soon());
  await guest.client.files.changeMode({ path: guest.dir }, 0o755, soon());
});
afterAll(() => guest.stop());

async function content(name: string, range: { offset?: number; length?: number } = {}): Promise<Buffer> {
  const reading = await guest.client.files.read(at(name), range, soon());
  const pieces: Buffer[] = [];
  for await (const piece of reading.data) pieces.push(piece);
  return Buffer.concat(pieces);
}

function put(name: string, text: string, options = {}) {
  return guest.client.files.write({ ...at(name), data: [Buffer.from(text)] }, options, soon());
}

function failure(promise: Promise<unknown>): Promise<{ code: unknown; guest: string | undefined }> {
  return promise.then(
    () => ({ code: undefined, guest: undefined }),
    (thrown: unknown) => ({
      code: thrown instanceof Error && "code" in thrown ? thrown.code : thrown,
      guest: guestErrorOf(thrown)?.code,
    }),
  );
}

describe("contents", () => {
  it("of several MiB go in and out whole, and in part", async () => {
    const big = Buffer.alloc(5_000_001, "0123456789");
    const pieces = [big.subarray(0, 10), Buffer.alloc(0), big.subarray(10)];
    const written = await guest.client.files.write({ ...at("big"), data: pieces }, {}, soon());
    expect(written).toMatchObject({
      bytes: big.length,
      entry: { sizeBytes: big.length, type: "file", mode: 0o644 },
    });
    expect((await content("big")).equals(big)).toBe(true);
    expect((await content("big", { offset: 7, length: 100_000 })).equals(big.subarray(7, 100_007))).toBe(
      true,
    );
    expect((await content("big", { offset: 9_000_000 })).length).toBe(0);
  });

  it("are replaced, appended to, updated in place or refused", async () => {
    await put("modes", "first");
    await put("modes", "second");
    await put("modes", "+more", { existing: "append" });
    await put("modes", "S", { existing: "update", offset: 0 });
    expect((await content("modes")).toString()).toBe("Second+more");
    expect(await failure(put("modes", "x", { existing: "refuse" }))).toMatchObject({
      code: "already_exists",
    });
    expect(await failure(put("absent", "x", { create: false }))).toMatchObject({ code: "not_found" });
    expect((await put("a/b/c", "deep", { parents: true, mode: 0o600, sync: true })).entry.mode).toBe(0o600);
  });

  it("stay as they were when an atomic write breaks off", async () => {
    await put("atomic", "old");
    async function* breaking() {
      yield Buffer.from("new");
      throw new Error("source failed");
    }
    const writing = guest.client.files.write({ ...at("atomic"), data: breaking() }, { atomic: true }, soon());
    await expect(writing).rejects.toThrow("source failed");
    expect((await content("atomic")).toString()).toBe("old");
    await put("atomic", "new", { atomic: true });
    expect((await content("atomic")).toString()).toBe("new");
  });

  it("that do not fit give one clear error while they are still being sent", async () => {
    for (let round = 0; round < 20; round++) {
      const data = Array.from({ length: 200 }, () => Buffer.alloc(100_000));
      const writing = guest.client.files.write({ path: join(guest.smallDir, "full"), data }, {}, soon());
      expect(await failure(writing)).toEqual({ code: "resource_exhausted", guest: "no_space" });
    }
  });

  it("of what is no regular file are refused", async () => {
    expect(await failure(content("."))).toMatchObject({ guest: "is_directory" });
    expect(await failure(guest.client.files.read({ path: "/dev/zero" }, {}, soon()))).toMatchObject({
      guest: "not_regular",
    });
  });
});

describe("users", () => {
  it("own what they create and are refused what is not theirs", async () => {
    const mine = { ...at("mine", "nobody"), data: [Buffer.from("x")] };
    expect((await guest.client.files.write(mine, {}, soon())).entry).toMatchObject({
      uid: 65534,
      user: "nobody",
    });
    const passwd = { path: "/etc/passwd", user: "nobody", data: [Buffer.from("x")] };
    expect(await failure(guest.client.files.write(passwd, {}, soon()))).toEqual({
      code: "failed_precondition",
      guest: "permission_denied",
    });
    expect(await failure(guest.client.files.stat({ path: "/", user: "nosuchuser" }, {}, soon()))).toEqual({
      code: "invalid_argument",
      guest: "no_such_user",
    });
    expect(await guest.client.lookUpUser("nobody", soon())).toMatchObject({ uid: 65534, name: "nobody" });
  });
});

describe("paths", () => {
  it("are renamed, linked, changed and removed", async () => {
    const { files } = guest.client;
    await put("from", "x");
    await put("taken", "y");
    const onto = { ...at("from"), to: join(dir, "taken") };
    expect(await failure(files.rename(onto, { replace: false }, soon()))).toMatchObject({
      code: "already_exists",
    });
    expect(await files.rename({ ...at("from"), to: join(dir, "to") }, {}, soon())).toMatchObject({
      name: "to",
    });
    await files.makeSymlink({ ...at("link"), target: "to" }, soon());
    expect(await files.readSymlink(at("link"), soon())).toBe("to");
    expect(await files.stat(at("link"), { follow: false }, soon())).toMatchObject({
      type: "symlink",
      targetType: "file",
      symlinkTarget: "to",
    });
    expect(await files.stat(at("link"), {}, soon())).toMatchObject({ type: "file", sizeBytes: 1 });
    expect(await files.changeOwner(at("to"), { uid: 1, gid: 2 }, soon())).toMatchObject({ uid: 1, gid: 2 });
    await files.makeDirectory(at("tree/x/y"), { parents: true }, soon());
    expect(await failure(files.remove(at("tree"), {}, soon()))).toMatchObject({ guest: "not_empty" });
    expect(await files.remove(at("tree"), { recursive: true }, soon())).toBe(3);
    expect(await files.remove(at("tree"), { missingOk: true }, soon())).toBe(0);
  });

  it("with dots, NUL characters or 5,000 bytes are resolved or refused", async () => {
    const { files } = guest.client;
    expect(await files.stat({ path: `${dir}/../../../../../../etc/passwd` }, {}, soon())).toMatchObject({
      name: "passwd",
    });
    expect(await failure(files.stat({ path: "/etc/pass\0wd" }, {}, soon()))).toMatchObject({
      code: "invalid_argument",
    });
    expect(await failure(files.stat({ path: `/${"x".repeat(5000)}` }, {}, soon()))).toEqual({
      code: "invalid_argument",
      guest: "name_too_long",
    });
  });

  it("are listed to the depth asked for", async () => {
    const { files } = guest.client;
    await files.makeDirectory(at("listed/a/b"), { parents: true }, soon());
    const names = async (depth: number) => {
      const found: string[] = [];
      for await (const entry of files.list(at("listed"), { depth }, soon())) found.push(entry.name);
      return found;
    };
    expect(await names(1)).toEqual(["a"]);
    expect(await names(2)).toEqual(["a", "b"]);
    const cut = files.list({ path: "/usr" }, { depth: 3, entriesMax: 5 }, soon());
    let last = await cut.next();
    while (last.done !== true) last = await cut.next();
    expect(last.value).toMatchObject({ count: 5, truncated: true });
  });

  it("carry extended attributes where the file system can", async () => {
    const { files } = guest.client;
    await put("attributed", "x");
    const attribute = { ...at("attributed"), name: "user.ramet" };
    const set = await failure(files.setXattr({ ...attribute, value: Buffer.from("v") }, {}, soon()));
    if (set.guest === "unsupported") return;
    expect(set.code).toBeUndefined();
    expect((await files.getXattr(attribute, {}, soon())).toString()).toBe("v");
    expect(await files.listXattrs(at("attributed"), {}, soon())).toContain("user.ramet");
    await files.removeXattr(attribute, {}, soon());
    expect(await failure(files.getXattr(attribute, {}, soon()))).toEqual({
      code: "not_found",
      guest: "no_data",
    });
  });
});

describe("a watch", () => {
  it("reports changes below a directory until the directory goes", async () => {
    await guest.client.files.makeDirectory(at("watched"), {}, soon());
    const watching = await guest.client.files.watch(at("watched"), { recursive: true }, soon());
    await writeFile(join(dir, "watched/f"), "x");
    const seen: WatchEvent[] = [];
    for await (const event of watching.events) {
      seen.push(event);
      if (event.kind === "written")
        await guest.client.files.remove(at("watched"), { recursive: true }, soon());
    }
    const kinds = seen.map(({ kind, name }) => `${kind} ${name}`);
    expect(kinds).toContain("created f");
    expect(kinds).toContain("removed f");
    expect(kinds.at(-1)).toBe("gone ");
  });

  it("ends with an error at a quiesce", async () => {
    const watching = await guest.client.files.watch({ path: dir }, {}, soon());
    await guest.client.quiesce({ holdMs: 100 }, soon());
    await expect(watching.events[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: "unavailable",
    });
  });
});

it("what has more or less in it than it says is read to its end", async () => {
  const read = async (path: string) => {
    const { entry, data } = await guest.client.files.read({ path }, {}, soon());
    let text = "";
    for await (const piece of data) text += piece;
    return { size: entry.sizeBytes, text };
  };
  expect(await read("/proc/self/comm")).toEqual({ size: 0, text: "ramet-file\n" });
  const { size, text } = await read("/sys/devices/system/cpu/online");
  expect(text).toMatch(/^[\d,-]+\n$/);
  expect(text.length).toBeLessThan(size);
});

it("links are followed inside the sandbox, never on the host", async () => {
  await symlink("/etc/hostname", join(dir, "planted"));
  expect((await content("planted")).toString()).toBe("before\n");
});
