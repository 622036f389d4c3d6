/** Commands and terminals through E2B's own client, unmodified. */
import {
  AuthenticationError,
  CommandExitError,
  InvalidArgumentError,
  NotFoundError,
  Sandbox,
  TimeoutError,
} from "e2b";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { becomes } from "../../support/box.js";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("envd-commands");
const options = () => ({ apiKey: mainKey, apiUrl: box.url, sandboxUrl: box.url });

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await Sandbox.create("base", { ...options(), envs: { GLOBAL: "one", BOTH: "one" } });
});
afterAll(async () => {
  await sandbox?.kill();
});

const output = async (command: string, more: object = {}) =>
  (await sandbox.commands.run(command, more)).stdout.trim();

describe("a command", () => {
  it("gives what it writes and how it ends", async () => {
    const result = await sandbox.commands.run("echo out; echo err >&2");
    expect(result).toMatchObject({ stdout: "out\n", stderr: "err\n", exitCode: 0 });
    const failed = await sandbox.commands.run("exit 3").catch((thrown: unknown) => thrown);
    expect(failed).toBeInstanceOf(CommandExitError);
    expect(failed).toMatchObject({ exitCode: 3, error: "exit status 3" });
    const killed = await sandbox.commands.run("kill -9 $$").catch((thrown: unknown) => thrown);
    expect(killed).toMatchObject({ exitCode: -1, error: "signal: killed" });
  });

  it("has the directory, environment and user that it is given", async () => {
    expect(await output("pwd", { cwd: "/tmp" })).toBe("/tmp");
    expect(await output("echo $GLOBAL $BOTH $MINE", { envs: { BOTH: "two", MINE: "3" } })).toBe("one two 3");
    expect(await output("id -un; pwd", { user: "user" })).toBe("user\n/home/user");
    expect(await output("id -un", { user: "root" })).toBe("root");
    expect(await output("echo $E2B_SANDBOX $E2B_SANDBOX_ID")).toBe(`true ${sandbox.sandboxId}`);
  });

  it("is refused in a directory or for a user that is not there", async () => {
    await expect(sandbox.commands.run("true", { cwd: "/nowhere" })).rejects.toThrow(InvalidArgumentError);
    await expect(sandbox.commands.run("true", { user: "nobody-such" as "user" })).rejects.toThrow(
      AuthenticationError,
    );
  });

  it("may write much, and odd characters", async () => {
    expect((await sandbox.commands.run("head -c 3000000 /dev/zero | tr '\\0' x")).stdout.length).toBe(
      3_000_000,
    );
    expect(await output("printf 'ÄÖ €😀 \\001'")).toBe("ÄÖ €😀 \u0001");
  });

  it("is killed when its time is up, with what it has started", async () => {
    // Some of these are up while the process is being started.
    for (const timeoutMs of [1, 5, 10, 20, 500])
      await expect(sandbox.commands.run("sleep 4321; true", { timeoutMs })).rejects.toThrow(TimeoutError);
    await becomes("ended", async () => (await output("pgrep -fx 'sleep 4321' || echo none")) === "none");
  });

  it("runs on in the background, is listed, read again and killed", async () => {
    const started = await sandbox.commands.run("echo begun; sleep 1000", { background: true });
    const listed = (await sandbox.commands.list()).find(({ pid }) => pid === started.pid);
    expect(listed).toMatchObject({ cmd: "/bin/bash", args: ["-l", "-c", "echo begun; sleep 1000"] });
    await started.disconnect();
    const again = await sandbox.commands.connect(started.pid);
    expect(again.pid).toBe(started.pid);
    expect(await sandbox.commands.kill(started.pid)).toBe(true);
    await expect(again.wait()).rejects.toMatchObject({ exitCode: -1, error: "signal: killed" });
    expect(await sandbox.commands.kill(started.pid)).toBe(false);
    await expect(sandbox.commands.run(`kill -0 ${started.pid}`)).rejects.toThrow(CommandExitError);
    await expect(sandbox.commands.connect(999_999)).rejects.toThrow(NotFoundError);
  });

  it("reads what it is sent, until its input is closed", async () => {
    const cat = await sandbox.commands.run("cat", { background: true, stdin: true });
    await sandbox.commands.sendStdin(cat.pid, "Grüße\n");
    await sandbox.commands.sendStdin(cat.pid, "");
    await sandbox.commands.closeStdin(cat.pid);
    expect((await cat.wait()).stdout).toBe("Grüße\n");
    const deaf = await sandbox.commands.run("sleep 1000", { background: true });
    await expect(sandbox.commands.sendStdin(deaf.pid, "x")).rejects.toThrow(/stdin/);
    await deaf.kill();
  });

  it("ends with its own process, whoever else holds its output", async () => {
    const begun = Date.now();
    expect(await output("(sleep 20; echo late) & echo done")).toBe("done");
    expect(Date.now() - begun).toBeLessThan(5_000);
  });
});

describe("a terminal", () => {
  it("has a size, takes input, is resized and ends with its shell", async () => {
    let seen = "";
    const decoder = new TextDecoder();
    const pty = await sandbox.pty.create({
      ...{ cols: 80, rows: 24, timeoutMs: 0 },
      onData: (data) => {
        seen += decoder.decode(data, { stream: true });
      },
    });
    const type = (text: string) => sandbox.pty.sendInput(pty.pid, new TextEncoder().encode(text));
    await type("echo one-$(stty size | tr ' ' x)\n");
    await becomes("80 columns", async () => seen.includes("one-24x80"));
    await sandbox.pty.resize(pty.pid, { cols: 100, rows: 30 });
    await type("echo two-$(stty size | tr ' ' x)\n");
    await becomes("100 columns", async () => seen.includes("two-30x100"));
    for (const size of [
      { cols: 0, rows: 0 },
      { cols: 65_535, rows: 65_535 },
    ])
      await expect(sandbox.pty.resize(pty.pid, size)).rejects.toThrow(InvalidArgumentError);
    await type("exit 5\n");
    await expect(pty.wait()).rejects.toMatchObject({ exitCode: 5 });
  });
});

describe("over pause, connect and fork", () => {
  it("a command goes on under its pid, and is read on", async () => {
    const made = await Sandbox.create("base", options());
    const script = "for n in $(seq 1000); do echo $n; sleep 0.1; done";
    const counting = await made.commands.run(script, { background: true, timeoutMs: 0 });
    for (const _ of [1, 2]) {
      expect(await made.pause()).toBe(true);
      expect(await made.isRunning()).toBe(false);
      await made.connect();
      const seen: string[] = [];
      const again = await made.commands.connect(counting.pid, { onStdout: (text) => void seen.push(text) });
      await becomes("counting on", async () => seen.length > 3);
      await again.disconnect();
    }
    await made.kill();
  });

  it("each clone has its own", async () => {
    const counting = await sandbox.commands.run("sleep 1000", { background: true });
    const results = await sandbox.fork({ count: 2, ...options() });
    const clones = results.map((result) => {
      if (!(result instanceof Sandbox)) throw result;
      return result;
    });
    for (const clone of clones) {
      expect((await clone.commands.list()).map(({ pid }) => pid)).toContain(counting.pid);
      expect((await clone.commands.run("echo $E2B_SANDBOX_ID")).stdout.trim()).toBe(clone.sandboxId);
    }
    expect(await clones[0]?.commands.kill(counting.pid)).toBe(true);
    expect((await clones[1]?.commands.list())?.map(({ pid }) => pid)).toContain(counting.pid);
    for (const clone of clones) await clone.kill();
    await counting.kill();
  });

  it("a kill in the middle says that the sandbox is gone", async () => {
    const made = await Sandbox.create("base", options());
    const running = made.commands.run("sleep 1000", { timeoutMs: 0 });
    const outcome = expect(running).rejects.toThrow(TimeoutError);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await made.kill();
    await outcome;
    await expect(running).rejects.toThrow(/killed or reached its end of life/);
  });
});
