/** What clients send that is wrong or too much, and a guest that dies: the answer, and the sandbox unharmed. */
import { gzipSync } from "node:zlib";
import { CommandExitError, InvalidArgumentError, NotEnoughSpaceError, Sandbox, TimeoutError } from "e2b";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { becomes } from "../../support/box.js";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("envd-bad-input");
const options = () => ({ apiKey: mainKey, apiUrl: box.url, sandboxUrl: box.url });

let sandbox: Sandbox;
let token: string;
beforeAll(async () => {
  sandbox = await Sandbox.create("base", options());
  token = (await box.ask("GET", `/sandboxes/${sandbox.sandboxId}`)).body.envdAccessToken;
});
afterAll(async () => {
  await sandbox?.kill();
});

async function post(path: string, body: Buffer, headers: Readonly<Record<string, string>>) {
  const own = { "e2b-sandbox-id": sandbox.sandboxId, "e2b-sandbox-port": "49983", "x-access-token": token };
  const answer = await fetch(`${box.url}${path}`, { method: "POST", headers: { ...own, ...headers }, body });
  return { status: answer.status, body: (await answer.json()) as { readonly code: unknown } };
}

const mebibyte = 2 ** 20;

describe("a body that grows when it is unpacked", () => {
  it("is refused as a message, before it is held", async () => {
    const bomb = gzipSync(JSON.stringify({ path: "x".repeat(64 * mebibyte) }));
    const packed = { "content-type": "application/json", "content-encoding": "gzip" };
    const answer = await post("/filesystem.Filesystem/Stat", bomb, packed);
    expect(answer).toMatchObject({ status: 429, body: { code: "resource_exhausted" } });
  });

  it("passes through as a file, as large as it is", async () => {
    const bomb = gzipSync(Buffer.alloc(96 * mebibyte));
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watching = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }, 5);
    const packed = { "content-type": "application/octet-stream", "content-encoding": "gzip" };
    const answer = await post("/files?path=/tmp/bomb", bomb, packed);
    clearInterval(watching);
    expect(answer.status).toBe(200);
    expect(most).toBeLessThan(48 * mebibyte);
    expect((await sandbox.commands.run("stat -c %s /tmp/bomb; rm /tmp/bomb")).stdout).toBe(
      `${96 * mebibyte}\n`,
    );
  });
});

/** The image has no mount(8). */
const libc =
  "import ctypes, sys; libc = ctypes.CDLL(None); check = lambda failed: failed and sys.exit('failed')";

it("a file that does not fit says so, and one that does is written", async () => {
  const { state } = await box.test.node.sandboxes.get(sandbox.sandboxId);
  if (state.status !== "running") throw new Error(`the sandbox is ${state.status}`);
  await sandbox.commands.run("mkdir -m 777 /tmp/small");
  const call = (text: string) =>
    execa("nsenter", ["-m", "-t", String(state.pid), "python3", "-c", `${libc}; check(libc.${text})`]);
  await call("mount(b'small', b'/tmp/small', b'tmpfs', 0, b'size=1M,mode=777')");
  try {
    const large = "x".repeat(4 * mebibyte);
    await expect(sandbox.files.write("/tmp/small/file", large)).rejects.toThrow(NotEnoughSpaceError);
    const packed = { "content-type": "application/octet-stream", "content-encoding": "gzip" };
    const bomb = gzipSync(Buffer.alloc(64 * mebibyte));
    expect((await post("/files?path=/tmp/small/bomb", bomb, packed)).status).toBe(507);
    await sandbox.commands.run("rm /tmp/small/*");
    await sandbox.files.write("/tmp/small/file", "fits");
    expect(await sandbox.files.read("/tmp/small/file")).toBe("fits");
  } finally {
    await call("umount(b'/tmp/small')");
  }
});

it("an empty path is not taken for the home, to remove or move it", async () => {
  await expect(sandbox.files.remove("")).rejects.toThrow(InvalidArgumentError);
  await expect(sandbox.files.rename("", "/tmp/home")).rejects.toThrow(InvalidArgumentError);
  expect(await sandbox.files.exists("/home/user")).toBe(true);
  expect(await sandbox.files.list("")).toEqual(await sandbox.files.list("/home/user"));
});

describe("a terminal", () => {
  it.each([
    [0, 0],
    [80, 0],
    [65_535, 65_535],
    [2 ** 32 - 1, 24],
  ])("of %d by %d is none", async (cols, rows) => {
    await expect(sandbox.pty.create({ cols, rows, onData: () => {} })).rejects.toThrow(InvalidArgumentError);
    const pty = await sandbox.pty.create({ cols: 80, rows: 24, onData: () => {} });
    await expect(sandbox.pty.resize(pty.pid, { cols, rows })).rejects.toThrow(InvalidArgumentError);
    expect(await pty.kill()).toBe(true);
  });
});

describe("input", () => {
  it("of several writers is taken whole from each", async () => {
    const sort = await sandbox.commands.run("sort | uniq -c", { background: true, stdin: true });
    const line = (letter: string) => `${letter.repeat(20_000)}\n`;
    await Promise.all([..."abcdef"].map((letter) => sandbox.commands.sendStdin(sort.pid, line(letter))));
    await sandbox.commands.closeStdin(sort.pid);
    const { stdout } = await sort.wait();
    expect(stdout).toBe([..."abcdef"].map((letter) => `      1 ${line(letter)}`).join(""));
  });

  it("is refused where nobody reads it any more", async () => {
    const closed = await sandbox.commands.run("sleep 100", { background: true });
    await expect(sandbox.commands.sendStdin(closed.pid, "x")).rejects.toThrow();
    await closed.kill();
    expect(await sandbox.commands.kill(closed.pid)).toBe(false);
    await expect(sandbox.commands.sendStdin(closed.pid, "x")).rejects.toThrow();
  });
});

describe("a command", () => {
  it("that is not there says so, and leaves nothing", async () => {
    const before = (await sandbox.commands.list()).length;
    const failed = await sandbox.commands.run("/no/such/program").catch((thrown: unknown) => thrown);
    expect(failed).toBeInstanceOf(CommandExitError);
    expect(failed).toMatchObject({ exitCode: 127 });
    expect(await sandbox.commands.list()).toHaveLength(before);
  });

  it("whose streams clients leave again and again goes on, and can be read", async () => {
    const talking = await sandbox.commands.run("while echo x; do sleep 0.05; done", { background: true });
    for (let round = 0; round < 300; round += 20) {
      const streams = Array.from({ length: 20 }, () => sandbox.commands.connect(talking.pid));
      for (const stream of await Promise.all(streams)) await stream.disconnect();
    }
    let heard = "";
    const last = await sandbox.commands.connect(talking.pid, {
      onStdout: (text) => {
        heard += text;
      },
    });
    await becomes("heard", async () => heard.includes("x"));
    expect(await last.kill()).toBe(true);
  });
});

it("a guest that dies in the middle ends what hangs on it, and no other sandbox", async () => {
  const doomed = await Sandbox.create("base", options());
  const running = doomed.commands.run("sleep 1000", { timeoutMs: 0 });
  const outcome = expect(running).rejects.toThrow(TimeoutError);
  await becomes("running", async () => (await doomed.commands.list()).length === 1);
  const { state } = await box.test.node.sandboxes.get(doomed.sandboxId);
  if (state.status !== "running") throw new Error(`the sandbox is ${state.status}`);
  process.kill(state.pid, "SIGKILL");
  await outcome;
  await becomes("gone", async () => !(await doomed.isRunning()));
  expect((await sandbox.commands.run("echo here")).stdout).toBe("here\n");
});
