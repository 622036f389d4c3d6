/** Paths, arguments and archives that nobody should send: one clear error each, and the sandbox goes on. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { drain, noInput, openBox, soon } from "../../support/box.js";
import { ociLayout, tarOf } from "../../support/oci-archive.js";

const box = openBox("input");

let id: string;
beforeEach(async () => {
  ({ id } = await box.create());
});

const at = (path: string, user = "root") => ({ sandbox: id, path, user });
const stat = (path: string) => box.node.files.stat(at(path), { follow: true }, soon());

describe("a path", () => {
  it.each([
    ["with a NUL", "/etc/pass\0wd", "invalid_argument"],
    ["of 5,000 bytes", `/${"x".repeat(5_000)}`, "invalid_argument"],
    ["with a name of 300 bytes", `/${"x".repeat(300)}`, "invalid_argument"],
    ["that is empty", "", "invalid_argument"],
    ["through a file", "/etc/passwd/x", "failed_precondition"],
    ["that is not there", "/nowhere", "not_found"],
  ])("%s is refused", async (_name, path, code) => {
    await expect(stat(path)).rejects.toMatchObject({ code });
    await expect(drain((await read(path)) ?? [])).rejects.toMatchObject({ code });
  });

  const read = async (path: string) => {
    const file = box.node.files.read(at(path), { offset: 0 }, soon());
    async function* data() {
      yield* (await file).data;
    }
    return data();
  };

  it("with .. stays inside the sandbox's root", async () => {
    expect(await stat("/../../../../etc/passwd")).toEqual({
      ...(await stat("/etc/passwd")),
      path: expect.any(String),
    });
    await box.sh(id, "ln -s ../../../../../../.. /tmp/out; echo inside > /etc/marker");
    const { file } = await box.node.files.read(at("/tmp/out/etc/marker"), { offset: 0 }, soon());
    expect(file.sizeBytes).toBe(7);
  });

  it("of another user is refused, and what is written belongs to the one who writes", async () => {
    const options = { mode: 0o644, parents: false };
    async function* data() {
      yield Buffer.from("x");
    }
    await expect(box.node.files.write(at("/root/x", "user"), options, data(), soon())).rejects.toMatchObject({
      code: "failed_precondition",
    });
    await box.node.files.write(at("/home/user/x", "user"), options, data(), soon());
    expect(await box.sh(id, "stat -c %U:%G /home/user/x")).toBe("user:user");
  });
});

describe("an argument list", () => {
  it.each([
    ["of 10 MiB", ["echo", ...Array.from({ length: 10_240 }, () => "x".repeat(1024))]],
    ["of 100,000 arguments", Array.from({ length: 100_000 }, () => "x")],
    ["with a NUL", ["echo", "a\0b"]],
    ["that is empty", []],
  ])("%s is refused", async (_name, argv) => {
    const code = await box.run(id, argv).then(
      () => "none",
      (thrown: { code?: string }) => thrown.code,
    );
    expect(["invalid_argument", "resource_exhausted"]).toContain(code);
    expect(await box.sh(id, "echo fine")).toBe("fine");
  });

  it("of 100 KB arrives", async () => {
    const argv = ["printf", "%s", ...Array.from({ length: 100 }, () => "x".repeat(1_000))];
    expect((await box.run(id, argv)).stdout.length).toBe(100_000);
  });
});

describe("a process", () => {
  it("that does not exist is not found", async () => {
    const attach = box.node.processes.attach(id, { pid: 9_999 }, {}, noInput(), soon());
    await expect(drain(attach)).rejects.toMatchObject({ code: "not_found" });
    await expect(box.node.processes.signal(id, 9_999, 15, { group: false }, soon())).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(box.node.processes.signal(id, 1, 9_999, { group: false }, soon())).rejects.toMatchObject({
      code: expect.stringMatching(/invalid_argument|not_found/),
    });
  });
});

describe("an archive", () => {
  it.each([
    ["that is rubbish", Buffer.alloc(100_000, "rubbish")],
    ["that is empty", Buffer.alloc(0)],
    ["that is an empty tar", Buffer.alloc(10_240)],
  ])("%s is refused", async (_name, content) => {
    const path = join(box.test.dataDir, "archive.tar");
    await writeFile(path, content);
    await expect(drain(box.node.images.import(path, {}, soon()))).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });

  it("that is not there is not found", async () => {
    const path = join(box.test.dataDir, "nothing.tar");
    await expect(drain(box.node.images.import(path, {}, soon()))).rejects.toMatchObject({
      code: "not_found",
    });
  });
});

describe("an image", () => {
  const importOf = async (content: Readonly<Record<string, string>>) => {
    const path = join(box.test.dataDir, "made.tar");
    await writeFile(path, await tarOf((await ociLayout({ content })).files));
    await drain(box.node.images.import(path, { name: "made" }, soon()));
  };

  it.each(["proc", "dev", ".ramet"])("with a file at /%s cannot be started from", async (place) => {
    await importOf({ [place]: "a file" });
    await expect(box.createCold({ image: "made" })).rejects.toMatchObject({
      code: "failed_precondition",
      message: `cannot start from image made: its /${place} is no directory`,
    });
  });

  it("without /etc/passwd has a root all the same", async () => {
    await importOf({ "notes.txt": "a file" });
    const sandbox = await box.createCold({ image: "made" });
    const stats = await box.node.files.stat(
      { sandbox: sandbox.id, path: "/notes.txt", user: "root" },
      { follow: true },
      soon(),
    );
    expect(stats).toMatchObject({ uid: 0 });
    await expect(box.run(sandbox.id, ["/notes.txt"])).rejects.toMatchObject({
      message: expect.stringContaining("/notes.txt"),
    });
  });
});

it("an image in use is not removed, and says by whom", async () => {
  await expect(box.node.images.delete("test", soon())).rejects.toMatchObject({
    code: "failed_precondition",
    message: expect.stringContaining("template base"),
  });
});

describe("a file name that is no UTF-8", () => {
  it("goes through checkpoint, fork, pause and commit", async () => {
    await box.sh(id, "mkdir -p /srv/d && printf kept > /srv/d/$'x\\xff\\xfe'");
    const look = "cat /srv/d/*";
    await box.node.checkpoints.create(id, { name: "odd" }, soon());
    const [clone] = await box.fork(id, { count: 1 });
    expect(await box.sh(clone?.id ?? "", look)).toBe("kept");
    await box.node.sandboxes.pause(id, soon());
    await box.node.sandboxes.resume(id, soon());
    expect(await box.sh(id, look)).toBe("kept");
    const config = { env: {}, labels: {}, cmd: [], entrypoint: [] };
    await box.node.sandboxes.commit(id, { image: "odd", replace: true, ...config }, soon());
    const { id: fromImage } = await box.createCold({ image: "odd" });
    expect(await box.sh(fromImage, look)).toBe("kept");
    await box.node.sandboxes.delete(fromImage, { force: true }, soon());
    await box.node.images.delete("odd", soon());
  });
});

describe("what the sandbox is reached through", () => {
  it.each(["/.ramet", "/.ramet/guest.sock", "/tmp/../.ramet/x", "//.ramet/", "/"])(
    "stays: %s",
    async (path) => {
      const { files } = box.node;
      const attempts = [
        files.remove(at(path), { recursive: true }, soon()),
        files.rename(at(path), "/tmp/away", { parents: false }, soon()),
        files.rename(at("/etc/hostname"), path, { parents: false }, soon()),
        files.makeDir(at(path), { parents: true, mode: 0o755 }, soon()),
        files.symlink(at(path), "/tmp", soon()),
      ];
      for (const attempt of attempts)
        await expect(attempt).rejects.toMatchObject({ code: "failed_precondition" });
      expect(await box.sh(id, "echo here")).toBe("here");
    },
  );
});

it("an argument that the kernel does not take is said to be too large", async () => {
  await expect(box.run(id, ["true", "x".repeat(200_000)])).rejects.toMatchObject({
    code: "invalid_argument",
  });
});
