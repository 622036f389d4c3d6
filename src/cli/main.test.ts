import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RunOptions, runCli } from "../../test/support/cli.js";
import { aCheckpoint, aSandbox, type StubParts, stubNode } from "../../test/support/stub-node.js";
import { serveApi } from "../api/serve.js";
import { DomainError, type ErrorCode } from "../lib/errors.js";
import { openScope, type Scope } from "../lib/scope.js";
import type { CreateOptions } from "../node/node.js";
import type { ExecEvent, ExecInput, ExecOptions } from "../node/processes.js";
import { exitCodeOf } from "./exit-code.js";
import type { CaughtSignal } from "./io.js";
import { type ShapeName, shapes } from "./shapes.js";

let directory: string;
let scope: Scope;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "ramet-cli-"));
  scope = openScope();
  scope.defer(() => rm(directory, { recursive: true, force: true }));
});
afterEach(() => scope[Symbol.asyncDispose]());

async function serve(parts: StubParts) {
  const socketPath = join(directory, "agent.sock");
  const log = { error: () => {} };
  scope.use(
    await serveApi({ node: stubNode(parts), socketPath, log, graceMs: 100 }, new AbortController().signal),
  );
  return (words: readonly string[], options: RunOptions = {}) =>
    runCli(words, { ...options, env: { ...options.env, RAMET_SOCKET: socketPath } });
}

function parsed(name: ShapeName, text: string): unknown {
  return shapes[name].parse(JSON.parse(text));
}

type Exec = (
  options: ExecOptions,
  input: AsyncIterable<ExecInput>,
  signal: AbortSignal,
) => AsyncIterable<ExecEvent>;

function processes(exec: Exec) {
  return {
    exec: (_ref: string, options: ExecOptions, input: AsyncIterable<ExecInput>, signal: AbortSignal) =>
      exec(options, input, signal),
  };
}

const started: ExecEvent = { kind: "started", pid: 7, droppedBytes: 0 };
const exited = (code: number): ExecEvent => ({ kind: "exited", status: { kind: "code", code } });
const output = (stream: "stdout" | "stderr", data: Uint8Array): ExecEvent => ({
  kind: "output",
  stream,
  data,
  seq: 1,
});

describe("the agent", () => {
  it("that is not there is unavailable, with a hint", async () => {
    const { exitCode, stderr, stdout } = await runCli(["ps", "--socket", "/nonexistent/agent.sock"]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 7, stdout: "" });
    expect(stderr).toMatch(/^ramet: cannot reach the agent at \/nonexistent\/agent.sock.*\nhint: start it/);
  });

  it.each(Object.entries(exitCodeOf))("that answers %s gives exit code %d", async (code, exitCode) => {
    const error = new DomainError(code as ErrorCode, "went wrong", { hint: "do better" });
    const ramet = await serve({ sandboxes: { get: () => Promise.reject(error) } });
    expect(await ramet(["inspect", "a1b2"])).toMatchObject({
      exitCode,
      stdout: "",
      stderr: "ramet: went wrong\nhint: do better\n",
    });
  });

  it("answers errors as JSON, too", async () => {
    const error = new DomainError("not_found", "no such sandbox");
    const ramet = await serve({ sandboxes: { get: () => Promise.reject(error) } });
    const { stderr, exitCode } = await ramet(["inspect", "--json", "a1b2"]);
    expect(exitCode).toBe(3);
    expect(shapes.error.parse(JSON.parse(stderr).error)).toEqual({
      code: "not_found",
      message: "no such sandbox",
    });
  });

  it("gets no longer than --timeout", async () => {
    const resume = (_ref: string, signal: AbortSignal) =>
      new Promise<never>((_done, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const ramet = await serve({ sandboxes: { resume } });
    const { exitCode, stderr } = await ramet(["resume", "a1b2", "--timeout", "100ms"]);
    expect(exitCode).toBe(124);
    expect(stderr).toContain("did not finish within 0.1 s");
  });
});

describe("the command line", () => {
  it.each([
    [["bogus"], "unknown command"],
    [["ps", "--bogus"], "unknown option"],
    [["fork", "a1b2", "-n", "many"], "not a whole number"],
    [["cp", "a", "b"], "one side has to be in a sandbox"],
    [["create"], "nothing to create from"],
    [["commit", "a1b2", "img", "--change", "EXPOSE 80"], "not understood"],
    [["ps", "--filter", "color=red"], "not understood"],
  ])("%j is a usage error", async (words, said) => {
    const ramet = await serve({});
    const { exitCode, stderr } = await ramet(words);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`ramet: `);
    expect(stderr).toContain(said);
  });

  it("prints help on standard output and succeeds", async () => {
    expect(await runCli(["exec", "--help"])).toMatchObject({ exitCode: 0, stderr: "" });
  });
});

describe("create and ps", () => {
  it("passes on what was asked for, and prints the id alone", async () => {
    let asked: CreateOptions | undefined;
    const create = async (options: CreateOptions) => {
      asked = options;
      return aSandbox();
    };
    const ramet = await serve({ sandboxes: { create } });
    const words = [
      "create",
      "--image",
      "img",
      "-m",
      "512m",
      "--cpus",
      "0.5",
      "-e",
      "A=1",
      "-l",
      "run=42",
      "--name",
      "n",
    ];
    expect(await ramet(words)).toMatchObject({ exitCode: 0, stdout: "a1b2c3d4\n", stderr: "" });
    expect(asked).toEqual({
      source: {
        kind: "image",
        image: "img",
        limits: { cpus: 0.5, memoryBytes: 2 ** 29 },
        allowPrivilegeEscalation: false,
      },
      env: { A: "1" },
      labels: { run: "42" },
      name: "n",
    });
    parsed("created", (await ramet([...words, "--json"])).stdout);
  });

  it("takes an image where there is no such template, and says so when there is neither", async () => {
    const missing = () => Promise.reject(new DomainError("not_found", "none"));
    let source: CreateOptions["source"] | undefined;
    const create = async (options: CreateOptions) => {
      source = options.source;
      return aSandbox();
    };
    const get = async (name: string) => (name === "img:1" ? anImage : missing());
    const ramet = await serve({ sandboxes: { create }, templates: { get: missing }, images: { get } });
    expect((await ramet(["create", "img:1"])).exitCode).toBe(0);
    expect(source).toMatchObject({ kind: "image", image: "img:1" });
    expect(await ramet(["create", "nope"])).toMatchObject({ exitCode: 3, stdout: "" });
  });

  it("lists what lives, and all with -a, as a table, ids or JSON", async () => {
    const since = new Date();
    const stopped = aSandbox({ state: { status: "stopped", since, exitCode: 1 } });
    const ramet = await serve({ sandboxes: { list: async () => [aSandbox({ name: "env" }), stopped] } });
    expect((await ramet(["ps"])).stdout.split("\n")).toHaveLength(3);
    expect((await ramet(["ps", "-aq"])).stdout).toBe("a1b2c3d4\na1b2c3d4\n");
    const all: unknown[] = JSON.parse((await ramet(["ps", "-a", "--json"])).stdout);
    for (const it of all) shapes.sandbox.parse(it);
    expect(all).toHaveLength(2);
  });

  it("goes on after a name that failed, and ends with its code", async () => {
    const stop = async (ref: string) => {
      if (ref === "gone") throw new DomainError("not_found", "no sandbox gone");
      return aSandbox();
    };
    const ramet = await serve({ sandboxes: { stop } });
    const result = await ramet(["stop", "gone", "a1b2"]);
    expect(result).toMatchObject({ exitCode: 3, stdout: "a1b2\n", stderr: "ramet: no sandbox gone\n" });
    const outcomes: unknown[] = JSON.parse((await ramet(["stop", "--json", "gone", "a1b2"])).stdout);
    expect(outcomes.map((it) => shapes.outcome.parse(it).ok)).toEqual([false, true]);
  });
});

describe("exec", () => {
  it("keeps stdout and stderr apart, bytes as they are, and the exit code", async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 128]);
    const ramet = await serve({
      processes: processes(async function* () {
        yield started;
        yield output("stdout", bytes);
        yield output("stderr", Buffer.from("oops"));
        yield exited(42);
      }),
    });
    const { exitCode, stdoutBytes, stderr } = await ramet(["exec", "a1b2", "x"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 42, stderr: "oops" });
    expect(stdoutBytes.equals(bytes)).toBe(true);
  });

  it("ends with 128 and the number of the signal that ended the process", async () => {
    const ramet = await serve({
      processes: processes(async function* () {
        yield { kind: "exited", status: { kind: "signal", signal: 9 } };
      }),
    });
    expect((await ramet(["exec", "a1b2", "x"])).exitCode).toBe(137);
  });

  it("leaves options after the sandbox to the command", async () => {
    let asked: ExecOptions | undefined;
    const ramet = await serve({
      processes: processes(async function* (options) {
        asked = options;
        yield exited(0);
      }),
    });
    await ramet(["exec", "-e", "A=b", "-w", "/x", "-u", "root", "a1b2", "ls", "-it", "--json", "--", "-u"]);
    expect(asked).toEqual({
      argv: ["ls", "-it", "--json", "--", "-u"],
      env: { A: "b" },
      cwd: "/x",
      user: "root",
      stdin: false,
      killOnClose: false,
    });
  });

  it("passes standard input on, to its end", async () => {
    const ramet = await serve({
      processes: processes(async function* (_options, input) {
        yield started;
        for await (const item of input) {
          if (item.kind === "eof") break;
          if (item.kind === "stdin") yield output("stdout", item.data);
        }
        yield exited(0);
      }),
    });
    const stdin = new PassThrough();
    const bytes = Buffer.alloc(3_000_000, "0123456789");
    stdin.end(bytes);
    const { stdoutBytes, exitCode } = await ramet(["exec", "-i", "a1b2", "cat"], { stdin });
    expect(exitCode).toBe(0);
    expect(stdoutBytes.equals(bytes)).toBe(true);
  });

  it("passes signals on to the process group, and gives up after three", async () => {
    const signals: string[] = [];
    const node = {
      ...processes(async function* (_options, _input, signal) {
        yield started;
        yield output("stdout", Buffer.from("x"));
        await new Promise<void>((done) => signal.addEventListener("abort", () => done()));
      }),
      signal: async (_ref: string, pid: number, signo: number, { group }: { readonly group: boolean }) => {
        signals.push(`${pid} ${signo} ${group}`);
      },
    };
    const ramet = await serve({ processes: node });
    const keys = keyboard();
    const stdout = heard();
    const running = ramet(["exec", "a1b2", "sleep"], {
      onStart: keys.onStart,
      onOutput: stdout.hear,
    });
    await stdout.promise;
    for (let times = 1; times < 3; times += 1) {
      keys.press("SIGINT");
      await expect.poll(() => signals).toHaveLength(times);
    }
    keys.press("SIGINT");
    const { exitCode } = await running;
    expect(exitCode).toBe(130);
    expect(signals).toEqual(["7 2 true", "7 2 true"]);
  });

  it("says which process goes on when a pause takes the stream away", async () => {
    const ramet = await serve({
      processes: processes(async function* () {
        yield started;
        throw new DomainError("unavailable", "sandbox a1b2 was paused");
      }),
    });
    const { exitCode, stderr } = await ramet(["exec", "a1b2", "x"]);
    expect(exitCode).toBe(7);
    expect(stderr).toContain("hint: the process may go on: ramet attach a1b2 7");
  });

  it("prints events as JSON lines", async () => {
    const ramet = await serve({
      processes: processes(async function* () {
        yield started;
        yield output("stdout", Buffer.from("hi"));
        yield exited(0);
      }),
    });
    const lines = (await ramet(["exec", "--json", "a1b2", "x"])).stdout.trim().split("\n");
    const events = lines.map((line) => shapes.execEvent.parse(JSON.parse(line)));
    expect(events.map(({ event }) => event)).toEqual(["started", "output", "exited"]);
    expect(events[1]?.data).toBe("aGk=");
  });

  it("explains a command line that is more than the API takes", async () => {
    const ramet = await serve({});
    for (const mebibytes of [10, 20]) {
      const { exitCode, stderr } = await ramet(["exec", "a1b2", "echo", "x".repeat(mebibytes * 2 ** 20)]);
      expect(exitCode).toBe(2);
      expect(stderr).toMatch(/\d+ bytes/);
      expect(stderr).toContain("hint: write large input to a file");
    }
  });
});

describe("run", () => {
  it.each([
    [["--rm"], ["create", "exec", "delete"]],
    [[], ["create", "exec", "stop"]],
    [["--keep"], ["create", "exec"]],
  ])("with %j does %j and ends with the command's code", async (options, expected) => {
    const done: string[] = [];
    const ramet = await serve({
      sandboxes: {
        create: async () => {
          done.push("create");
          return aSandbox();
        },
        delete: async () => void done.push("delete"),
        stop: async () => {
          done.push("stop");
          return aSandbox();
        },
      },
      processes: processes(async function* () {
        done.push("exec");
        yield exited(5);
      }),
    });
    expect((await ramet(["run", ...options, "--image", "img", "false"])).exitCode).toBe(5);
    expect(done).toEqual(expected);
  });
});

describe("fork", () => {
  it("reports each clone, and fails with the code of one that failed", async () => {
    const error = new DomainError("resource_exhausted", "no pids left", { hint: "fewer" });
    async function* fork() {
      yield { kind: "taken" as const, checkpoint: aCheckpoint() };
      yield { kind: "clone" as const, index: 1, durationMs: 81, result: { ok: false as const, error } };
      yield {
        kind: "clone" as const,
        index: 0,
        durationMs: 80,
        result: { ok: true as const, sandbox: aSandbox() },
      };
    }
    const ramet = await serve({ sandboxes: { fork } });
    const { exitCode, stdout } = await ramet(["fork", "a1b2", "-n", "2", "--json"]);
    expect(exitCode).toBe(6);
    const forked = shapes.forked.parse(JSON.parse(stdout));
    expect(forked.clones.map((clone) => clone.sandbox?.id ?? clone.error?.code)).toEqual([
      "a1b2c3d4",
      "resource_exhausted",
    ]);
    expect((await ramet(["fork", "a1b2", "-n", "2"])).stdout).toContain("no pids left (fewer)");
  });
});

describe("following", () => {
  it("ends quietly when interrupted", async () => {
    async function* events(_query: unknown, signal: AbortSignal) {
      yield { id: 1, at: new Date(), type: "sandbox.created", sandbox: "a1b2", attributes: { by: "test" } };
      await new Promise<void>((done) => signal.addEventListener("abort", () => done()));
    }
    const ramet = await serve({ events });
    const keys = keyboard();
    const first = heard();
    const { onStart } = keys;
    const running = ramet(["events", "-f", "--json"], { onStart, onOutput: first.hear });
    await first.promise;
    keys.press("SIGINT");
    const { exitCode, stderr, stdout } = await running;
    expect({ exitCode, stderr }).toEqual({ exitCode: 130, stderr: "" });
    parsed("event", stdout);
  });
});

/** The way to signal a running command. */
function keyboard() {
  let send = (_name: CaughtSignal) => {};
  const onStart = (signal: (name: CaughtSignal) => void) => {
    send = signal;
  };
  return { onStart, press: (name: CaughtSignal) => send(name) };
}

/** Resolves once the command has printed something. */
function heard() {
  let hear = () => {};
  const promise = new Promise<void>((done) => {
    hear = done;
  });
  return { promise, hear };
}

const anImage = {
  name: "img:1",
  digest: "sha256:00",
  sizeBytes: 1,
  createdAt: new Date(0),
  config: { env: {}, user: "", cwd: "/", entrypoint: [], cmd: ["sh"], architecture: "amd64" },
};
