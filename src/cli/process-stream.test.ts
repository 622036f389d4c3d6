import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import {
  exited,
  heard,
  keyboard,
  output,
  processes,
  started,
  useStubAgent,
} from "../../test/support/stub-agent.js";
import { aSandbox } from "../../test/support/stub-node.js";
import { DomainError } from "../lib/errors.js";
import type { ExecOptions } from "../node/processes.js";
import { shapes } from "./shapes.js";

const serve = useStubAgent();

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
          return { ...aSandbox(), isWarm: false };
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
