/** The built `ramet` command against a real agent: what people type, and what they see. */
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa, type Options } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ShapeName, shapes } from "../../src/cli/shapes.js";
import { openTestAgent, type TestAgent } from "../support/agent.js";
import { testRuntime } from "../support/containerd.js";

const command = fileURLToPath(new URL("../../dist/bin/ramet.js", import.meta.url));

let agent: TestAgent;
let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "ramet-e2e-"));
  agent = await openTestAgent("cli");
  await agent.start();
  await succeed("image", "import", testRuntime().image, "--name", "test");
  await succeed("create", "--image", "test", "--name", "one");
});

afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

function ramet(words: readonly string[], options: Options = {}) {
  const env = { RAMET_SOCKET: agent.socketPath };
  return execa(process.execPath, [command, ...words], { env, reject: false, timeout: 60_000, ...options });
}

/** Standard output of a command that has to succeed. */
async function succeed(...words: string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await ramet(words);
  expect(exitCode, `ramet ${words.join(" ")}: ${stderr}`).toBe(0);
  return String(stdout);
}

async function json<N extends ShapeName>(shape: N, ...words: string[]): Promise<unknown> {
  return shapes[shape].parse(JSON.parse(await succeed(...words, "--json")));
}

async function elements(shape: ShapeName, ...words: string[]): Promise<unknown[]> {
  const all: unknown = JSON.parse(await succeed(...words, "--json"));
  if (!Array.isArray(all)) throw new Error(`ramet ${words.join(" ")} --json is no array`);
  return all.map((it) => shapes[shape].parse(it));
}

describe("exec", () => {
  it("keeps stdout, stderr and the exit code apart", async () => {
    const result = await ramet(["exec", "one", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    expect(result).toMatchObject({ stdout: "out", stderr: "err", exitCode: 7 });
    expect((await ramet(["exec", "one", "sh", "-c", "kill -KILL $$"])).exitCode).toBe(137);
    expect((await ramet(["exec", "one", "no-such-command"])).exitCode).toBe(3);
  });

  it("carries twenty megabytes in and out", async () => {
    const bytes = Buffer.alloc(20_000_000, "0123456789abcdef\0\xff", "latin1");
    const { stdout } = await ramet(["exec", "-i", "one", "cat"], {
      input: bytes,
      encoding: "buffer",
      maxBuffer: 3e7,
    });
    expect(Buffer.compare(Buffer.from(stdout as Uint8Array), bytes)).toBe(0);
  });

  it("passes SIGINT on, and the process decides", async () => {
    const script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done";
    const child = ramet(["exec", "one", "sh", "-c", script]);
    let output = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      output += chunk;
    });
    await expect.poll(() => output, { timeout: 10_000 }).toContain("ready");
    child.kill("SIGINT");
    const { exitCode } = await child;
    expect({ exitCode, output }).toEqual({ exitCode: 9, output: "ready\ncaught\n" });
  });

  it("hangs up a process whose output nobody reads any more", async () => {
    const pipeline = `"${process.execPath}" "${command}" exec one yes | head -1`;
    const { stdout } = await execa("sh", ["-c", pipeline], { env: { RAMET_SOCKET: agent.socketPath } });
    expect(stdout).toBe("y");
    await expect.poll(() => succeed("top", "one"), { timeout: 5000 }).not.toContain("yes");
  });
});

/** Types into a terminal that `ramet` runs in, and waits for what appears. */
function terminal(words: readonly string[]) {
  const line = ["stty rows 33 cols 77;", process.execPath, command, ...words, "; echo code=$?; stty -a"].join(
    " ",
  );
  const env = { RAMET_SOCKET: agent.socketPath, SHELL: "/bin/sh" };
  const child = execa("script", ["-qfec", line, "/dev/null"], { env, reject: false, stdin: "pipe" });
  let screen = "";
  child.stdout.on("data", (chunk: Buffer) => {
    screen += chunk;
  });
  return {
    type: (text: string) => child.stdin.write(text),
    screen: () => screen,
    shows: (text: string | RegExp) => expect.poll(() => screen, { timeout: 15_000 }).toMatch(text),
    async ends() {
      await child;
      return screen;
    },
  };
}

describe("exec -it", () => {
  it("gives a terminal of the caller's size, and the terminal back afterwards", async () => {
    const { type, shows, ends } = terminal(["exec", "-it", "one", "sh"]);
    await shows(/[$#] $/);
    type("stty size; tty\n");
    await shows(/33 77\s+\/dev\/pts/);
    type("sh -c 'echo as''leep; exec sleep 100'\n");
    await shows("asleep");
    type("\x03");
    type("exit 5\n");
    const screen = await ends();
    expect(screen).toContain("code=5");
    expect(screen).toMatch(/[^-]icanon/);
  });

  it("is left by the detach keys, and attach takes it up again", async () => {
    const first = terminal(["exec", "-it", "--tag", "shell", "one", "sh"]);
    await first.shows(/[$#] $/);
    first.type("X=kept\n");
    first.type("\x10\x11");
    expect(await first.ends()).toContain("code=0");
    const second = terminal(["attach", "one", "--tag", "shell"]);
    await expect.poll(() => second.type("\n") && second.screen(), { timeout: 15_000 }).toMatch(/[$#] $/);
    second.type("echo $X; exit 6\n");
    await second.shows(/\skept\s/);
    expect(await second.ends()).toContain("code=6");
  });
});

describe("pause and resume", () => {
  it("end a stream with a hint, and attach goes on where it stopped", async () => {
    const running = ramet([
      "exec",
      "--tag",
      "count",
      "one",
      "sh",
      "-c",
      "n=0; while :; do n=$((n+1)); echo $n; sleep 0.02; done",
    ]);
    await expect.poll(() => succeed("top", "one"), { timeout: 5000 }).toContain("count");
    await succeed("pause", "one");
    const { exitCode, stderr, stdout } = await running;
    expect({ exitCode, stderr }).toEqual({
      exitCode: 7,
      stderr: expect.stringContaining("ramet attach one"),
    });
    expect((await ramet(["exec", "one", "true"])).exitCode).toBe(4);
    await succeed("resume", "one");
    const { stdout: all } = await execa(
      "sh",
      ["-c", `"${process.execPath}" "${command}" attach one --tag count --after 0 | head -n 200`],
      { env: { RAMET_SOCKET: agent.socketPath } },
    );
    const before = String(stdout).split("\n");
    expect(all.split("\n").slice(0, before.length)).toEqual(before);
    expect(all.split("\n")).toEqual(Array.from({ length: 200 }, (_, index) => String(index + 1)));
  });
});

describe("cp", () => {
  it("carries a directory in and out with modes and links", async () => {
    const tree = join(scratch, "tree");
    mkdirSync(join(tree, "sub"), { recursive: true });
    writeFileSync(join(tree, "sub/run"), "#!/bin/sh\necho ran\n", { mode: 0o755 });
    symlinkSync("sub/run", join(tree, "link"));
    expect(await json("copied", "cp", tree, "one:/tmp/tree")).toMatchObject({ files: 1, symlinks: 1 });
    expect(await succeed("exec", "one", "/tmp/tree/link")).toBe("ran");
    await succeed("cp", "one:/tmp/tree", join(scratch, "back"));
    expect(readFileSync(join(scratch, "back/sub/run"), "utf8")).toContain("echo ran");
    expect(statSync(join(scratch, "back/sub/run")).mode & 0o777).toBe(0o755);
    expect(readlinkSync(join(scratch, "back/link"))).toBe("sub/run");
  });

  it("carries one file through pipes", async () => {
    await ramet(["cp", "-", "one:/tmp/piped"], { input: "through\n" });
    expect(await succeed("cp", "one:/tmp/piped", "-")).toBe("through");
  });
});

describe("fork, checkpoint, commit", () => {
  it("give sandboxes that go on from the same instant", async () => {
    await succeed("exec", "one", "sh", "-c", "echo state > /tmp/state");
    const forked = await json("forked", "fork", "one", "-n", "2", "--name", "clone");
    expect(shapes.forked.parse(forked).clones.map(({ sandbox }) => sandbox?.name)).toEqual([
      "clone-1",
      "clone-2",
    ]);
    expect(await succeed("exec", "clone-2", "cat", "/tmp/state")).toBe("state");
    await json("checkpointCreated", "checkpoint", "create", "one", "--name", "here");
    expect(await succeed("checkpoint", "tree")).toContain("(here)");
    expect(await json("verified", "checkpoint", "verify", "here")).toMatchObject({ ok: true });
    await json("checkpointDetails", "checkpoint", "inspect", "here");
    await succeed("restore", "here", "--name", "again");
    expect((await ramet(["checkpoint", "rm", "here"])).exitCode).toBe(4);
    await json("committed", "commit", "clone-1", "committed", "--change", "ENV FROM=commit");
    const out = await succeed("run", "--rm", "committed", "sh", "-c", "cat /tmp/state; echo $FROM");
    expect(out).toBe("state\ncommit");
    await elements("outcome", "rm", "-f", "clone-1", "clone-2", "again");
    await succeed("checkpoint", "rm", "here");
  });
});

describe("lists", () => {
  it("have the shapes that are documented", async () => {
    await json("template", "template", "build", "base", "--image", "test", "--start", "sleep 1000");
    await json("created", "create", "base", "--name", "two");
    await elements("sandbox", "ps", "-a");
    await json("sandbox", "inspect", "two");
    await elements("process", "top", "-a", "one");
    await elements("template", "template", "ls");
    await elements("image", "images");
    await elements("stats", "stats");
    await elements("file", "file", "ls", "one", "/etc");
    await json("file", "file", "stat", "one", "/etc/passwd");
    await json("info", "info");
    await json("version", "version");
    const events = (await succeed("events", "--json")).split("\n");
    for (const line of events) shapes.event.parse(JSON.parse(line));
    expect(await succeed("ps")).toMatch(/two +running .* template base/);
  });
});
