import { describe, expect, it } from "vitest";
import { runCli } from "../../test/support/cli.js";
import { heard, keyboard, useStubAgent } from "../../test/support/stub-agent.js";
import { aCheckpoint, aSandbox } from "../../test/support/stub-node.js";
import { DomainError, type ErrorCode } from "../lib/errors.js";
import type { CreateOptions } from "../node/node.js";
import { exitCodeOf } from "./exit-code.js";
import { type ShapeName, shapes } from "./shapes.js";

const serve = useStubAgent();

function parsed(name: ShapeName, text: string): unknown {
  return shapes[name].parse(JSON.parse(text));
}

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
    [["fork", "a1b2", "-n", "99999999999"], "count: 99999999999 is out of range"],
    [["create", "--image", "x", "-m", "99999999t"], "is out of range"],
    [["create", "x", "--name", ""], "value is empty"],
    [["ps", "--timeout", "600h"], "too long"],
    [["cp", "a", "b"], "one side has to be in a sandbox"],
    [["doctor", "--registry", "http://127.0.0.1:1"], "doctor looks at this machine alone"],
    [["image", "import", "-"], "not read from standard input"],
    [["create"], "nothing to create from"],
    [["commit", "a1b2", "img", "--change", "EXPOSE 80"], "not understood"],
    [["ps", "--filter", "color=red"], "not understood"],
    [["ps", "-f", "label=k=a", "-f", "label=k=b"], "no sandbox has both"],
  ])("%j is a usage error", async (words, said) => {
    const ramet = await serve({});
    const { exitCode, stderr } = await ramet(words);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`ramet: `);
    expect(stderr).toContain(said);
  });

  it.each([
    [["ps", "--registry", "ftp://x"]],
    [["--registry", "ftp://x", "ps"]],
    [["file", "ls", "--registry", "ftp://x", "a1b2", "/"]],
    [["exec", "--registry", "ftp://x", "a1b2", "true"]],
  ])("%j asks the registry that is named, before the command or after it", async (words) => {
    const { exitCode, stderr } = await runCli(words);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('"ftp://x" is not the address of a registry');
  });

  it("prints help on standard output and succeeds", async () => {
    expect(await runCli(["exec", "--help"])).toMatchObject({ exitCode: 0, stderr: "" });
  });
});

describe("restore --in-place", () => {
  it("takes the sandbox back, and says what it cannot be given", async () => {
    let asked: unknown[] = [];
    const rollBack = async (...words: unknown[]) => {
      asked = words.slice(0, 2);
      return aSandbox();
    };
    const ramet = await serve({ sandboxes: { rollBack } });
    const { stdout, exitCode } = await ramet(["restore", "before", "--in-place", "dev"]);
    expect({ stdout, exitCode, asked }).toEqual({
      stdout: `${aSandbox().id}\n`,
      exitCode: 0,
      asked: ["dev", { checkpoint: "before" }],
    });
    for (const words of [
      ["--name", "new"],
      ["-l", "a=b"],
      ["-e", "A=b"],
    ])
      expect(await ramet(["restore", "before", "--in-place", "dev", ...words])).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining("--in-place excludes"),
      });
    const elsewhere = ["--socket", "/nonexistent/agent.sock", "--timeout", "5s", "--json"];
    expect((await runCli(["restore", "before", "--in-place", "dev", ...elsewhere])).exitCode).toBe(7);
  });
});

describe("create and ps", () => {
  it("filters by what no label may be called, instead of by nothing", async () => {
    const ramet = await serve({ sandboxes: { list: async () => [aSandbox()] } });
    expect(await ramet(["ps", "-q", "-f", "label=__proto__=x"])).toMatchObject({ exitCode: 2, stdout: "" });
  });

  it("passes on what was asked for, and prints the id alone", async () => {
    let asked: CreateOptions | undefined;
    const create = async (options: CreateOptions) => {
      asked = options;
      return { ...aSandbox(), isWarm: true };
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
    expect(JSON.parse((await ramet([...words, "--json"])).stdout)).toMatchObject({ warm: true });
    parsed("created", (await ramet([...words, "--json"])).stdout);
  });

  it("takes an image where there is no such template, and says so when there is neither", async () => {
    const missing = () => Promise.reject(new DomainError("not_found", "none"));
    let source: CreateOptions["source"] | undefined;
    const create = async (options: CreateOptions) => {
      source = options.source;
      return { ...aSandbox(), isWarm: false };
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

describe("checkpoint create", () => {
  it("prints the id alone, for a variable of the shell, and a remark beside it", async () => {
    const create = async () => aCheckpoint();
    const ramet = await serve({ checkpoints: { create } });
    const { exitCode, stderr, stdout } = await ramet(["checkpoint", "create", "a1b2"]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "c0ffee00\n" });
    expect(stderr).toMatch(/^3.3 MiB of memory in .*, frozen for .*\n$/);
    const asJson = await ramet(["checkpoint", "create", "a1b2", "--json"]);
    parsed("checkpointCreated", asJson.stdout);
    expect(asJson.stderr).toBe("");
  });
});

describe("commit", () => {
  it("prints the digest alone, and a remark beside it", async () => {
    const config = { env: {}, user: "", cwd: "/", entrypoint: [], cmd: [], architecture: "amd64" };
    const image = { name: "img", digest: "sha256:abc", sizeBytes: 1, createdAt: new Date(0), config };
    const commit = async () => ({ image, layerBytes: 4096 });
    const ramet = await serve({ sandboxes: { commit } });
    const { exitCode, stderr, stdout } = await ramet(["commit", "a1b2", "img"]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${image.digest}\n` });
    expect(stderr).toMatch(/^img: new layer 4.0 KiB, in .*\n$/);
    const asJson = await ramet(["commit", "a1b2", "img", "--json"]);
    parsed("committed", asJson.stdout);
    expect(asJson.stderr).toBe("");
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

  it("that is cut off tells which clones there are", async () => {
    async function* fork() {
      yield { kind: "taken" as const, checkpoint: aCheckpoint() };
      const result = { ok: true as const, sandbox: aSandbox() };
      yield { kind: "clone" as const, index: 3, durationMs: 80, result };
      throw new DomainError("unavailable", "containerd is away");
    }
    const ramet = await serve({ sandboxes: { fork } });
    expect(await ramet(["fork", "a1b2", "-n", "9", "-q"])).toMatchObject({
      exitCode: exitCodeOf.unavailable,
      stdout: `${aSandbox().id}\n`,
      stderr: expect.stringContaining("containerd is away"),
    });
    const { stdout } = await ramet(["fork", "a1b2", "-n", "9", "--json"]);
    expect(shapes.forked.parse(JSON.parse(stdout)).clones).toHaveLength(1);
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

const anImage = {
  name: "img:1",
  digest: "sha256:00",
  sizeBytes: 1,
  createdAt: new Date(0),
  config: { env: {}, user: "", cwd: "/", entrypoint: [], cmd: ["sh"], architecture: "amd64" },
};
