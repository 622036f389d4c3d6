import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServiceError, status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { aSandbox, type StubParts, stubNode } from "../../test/support/stub-node.js";
import { FileService } from "../gen/ramet/v1/file_pb.js";
import { ProcessService } from "../gen/ramet/v1/process_pb.js";
import { SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import { DomainError, errorCodes } from "../lib/errors.js";
import { createClient, openChannel } from "../lib/grpc.js";
import { codeKey, hintKey, statusOfCode } from "../lib/grpc-status.js";
import { openScope, type Scope } from "../lib/scope.js";
import type { ExecEvent } from "../node/processes.js";
import { serveApi } from "./serve.js";

const live = new AbortController().signal;
let directory: string;
let scope: Scope;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "ramet-api-"));
  scope = openScope();
  scope.defer(() => rm(directory, { recursive: true, force: true }));
});
afterEach(() => scope[Symbol.asyncDispose]());

interface Logged {
  readonly fields: object;
  readonly message: string;
}

async function serve(parts: StubParts, graceMs = 200) {
  const logged: Logged[] = [];
  const socketPath = join(directory, "agent.sock");
  const log = { error: (fields: object, message: string) => void logged.push({ fields, message }) };
  const server = await serveApi({ node: stubNode(parts), socketPath, log, graceMs }, live);
  scope.use(server);
  const channel = openChannel(`unix:${socketPath}`);
  scope.defer(() => channel.close());
  const options = { timeoutMs: 10_000, toError: (error: unknown) => error as ServiceError };
  return {
    server,
    socketPath,
    logged,
    sandboxes: createClient(SandboxService, channel, options),
    processes: createClient(ProcessService, channel, options),
    files: createClient(FileService, channel, options),
  };
}

async function failureOf(answer: Promise<unknown>): Promise<ServiceError> {
  return await answer.then(
    () => Promise.reject(new Error("the call succeeded")),
    (error: unknown) => error as ServiceError,
  );
}

async function drain<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

describe("errors", () => {
  it.each(errorCodes)("carry %s with its status, message and hint", async (code) => {
    const hint = "größer ist nicht besser";
    const get = () => Promise.reject(new DomainError(code, `it is ${code}: 100 % €`, { hint }));
    const { sandboxes } = await serve({ sandboxes: { get } });
    const error = await failureOf(sandboxes.get({ sandbox: "a1b2" }));
    expect(error.code).toBe(statusOfCode[code]);
    expect(error.details).toBe(`it is ${code}: 100 % €`);
    expect(error.metadata.get(codeKey)).toEqual([code]);
    expect(error.metadata.get(hintKey)[0]?.toString()).toBe(hint);
  });

  it("that nobody foresaw are internal and logged", async () => {
    const { sandboxes, logged } = await serve({
      sandboxes: { get: () => Promise.reject(new TypeError("oops")) },
    });
    const error = await failureOf(sandboxes.get({ sandbox: "a1b2" }));
    expect(error.code).toBe(status.INTERNAL);
    expect(logged).toMatchObject([
      { fields: { method: "ramet.v1.SandboxService/Get" }, message: "call failed" },
    ]);
  });

  it("that are expected are not logged", async () => {
    const get = () => Promise.reject(new DomainError("not_found", "no such sandbox"));
    const { sandboxes, logged } = await serve({ sandboxes: { get } });
    await failureOf(sandboxes.get({ sandbox: "a1b2" }));
    expect(logged).toEqual([]);
  });

  it("with long and broken texts still arrive", async () => {
    const message = `${"x€\n".repeat(10_000)}\ud800`;
    const get = () => Promise.reject(new DomainError("failed_precondition", message, { hint: message }));
    const { sandboxes } = await serve({ sandboxes: { get } });
    const error = await failureOf(sandboxes.get({ sandbox: "a1b2" }));
    expect(error.code).toBe(status.FAILED_PRECONDITION);
    expect(error.details.startsWith("x€\nx€")).toBe(true);
  });

  it("in the middle of a stream follow what came before", async () => {
    async function* logs() {
      yield { stream: "stdout" as const, data: Buffer.from("a"), droppedBytes: 0 };
      throw new DomainError("unavailable", "paused");
    }
    const { sandboxes } = await serve({ sandboxes: { logs } });
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { data } of sandboxes.logs({ sandbox: "a1b2" }))
        seen.push(Buffer.from(data).toString());
    })();
    expect(await failureOf(reading)).toMatchObject({ code: status.UNAVAILABLE, details: "paused" });
    expect(seen).toEqual(["a"]);
  });
});

describe("cancelling", () => {
  it("aborts the work when the client's deadline passes", async () => {
    const reached = deferred();
    const pause = async (_ref: string, signal: AbortSignal): Promise<never> => {
      await aborted(signal);
      reached.resolve();
      throw signal.reason;
    };
    const { sandboxes } = await serve({ sandboxes: { pause } });
    const error = await failureOf(sandboxes.pause({ sandbox: "a1b2" }, { timeoutMs: 100 }));
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    await reached.promise;
  });

  it("aborts the work when the client lets go of a stream", async () => {
    const reached = deferred();
    async function* exec(
      _a: string,
      _b: unknown,
      _c: unknown,
      signal: AbortSignal,
    ): AsyncGenerator<ExecEvent> {
      yield { kind: "started", pid: 7, droppedBytes: 0 };
      await aborted(signal);
      reached.resolve();
    }
    const { processes } = await serve({ processes: { exec } });
    for await (const { event } of processes.exec(startOf("a1b2", ["sleep", "1000"]))) {
      expect(event.case).toBe("started");
      break;
    }
    await reached.promise;
  });

  it("of the whole server ends streams that follow, and lets work finish", async () => {
    const started = deferred();
    const finish = deferred();
    async function* logs(_ref: string, _options: unknown, signal: AbortSignal) {
      yield { stream: "stdout" as const, data: Buffer.from("a"), droppedBytes: 0 };
      started.resolve();
      await aborted(signal);
      throw signal.reason;
    }
    const resume = async () => {
      await finish.promise;
      return aSandbox();
    };
    const { server, sandboxes } = await serve({ sandboxes: { logs, resume } }, 5000);
    const following = failureOf(drain(sandboxes.logs({ sandbox: "a1b2", follow: true })));
    const working = sandboxes.resume({ sandbox: "a1b2" });
    await started.promise;
    const closed = server[Symbol.asyncDispose]();
    expect(await following).toMatchObject({ code: status.UNAVAILABLE, details: "the agent is stopping" });
    finish.resolve();
    expect((await working).sandbox?.id).toBe("a1b2c3d4");
    await closed;
  });

  it("of the whole server does not wait for work without end", async () => {
    const started = deferred();
    const resume = async (_ref: string, signal: AbortSignal): Promise<never> => {
      started.resolve();
      await aborted(signal);
      throw signal.reason;
    };
    const { server, sandboxes } = await serve({ sandboxes: { resume } }, 100);
    const working = failureOf(sandboxes.resume({ sandbox: "a1b2" }));
    await started.promise;
    await server[Symbol.asyncDispose]();
    expect([status.UNAVAILABLE, status.CANCELLED]).toContain((await working).code);
  });
});

describe("streams", () => {
  it("carry a process's input and output, and end with its exit though input stays open", async () => {
    async function* exec(
      _ref: string,
      _options: unknown,
      input: AsyncIterable<unknown>,
    ): AsyncGenerator<ExecEvent> {
      yield { kind: "started", pid: 7, droppedBytes: 0 };
      for await (const item of input) {
        const data = Buffer.from(JSON.stringify(item));
        yield { kind: "output", stream: "stderr", data, seq: data.length };
        break;
      }
      yield { kind: "exited", status: { kind: "code", code: 3 } };
    }
    const { processes } = await serve({ processes: { exec } });
    const events = await drain(processes.exec(openInput("a1b2", ["cat"], Buffer.from([0, 255]))));
    expect(events.map(({ event }) => event.case)).toEqual(["started", "output", "exited"]);
    expect(events[2]?.event.value).toMatchObject({ result: { case: "exitCode", value: 3 } });
  });

  it("hold a fast producer back for a slow reader", async () => {
    let produced = 0;
    const data = Buffer.alloc(32 * 1024, "x");
    async function* exec(): AsyncGenerator<ExecEvent> {
      for (; produced < 2000; produced += 1) yield { kind: "output", stream: "stdout", data, seq: produced };
    }
    const { processes } = await serve({ processes: { exec } });
    const events = processes.exec(startOf("a1b2", ["yes"]))[Symbol.asyncIterator]();
    await events.next();
    await expect.poll(() => produced, { interval: 50 }).toBeGreaterThan(1);
    await settled(() => produced);
    expect(produced).toBeLessThan(500);
    await events.return?.();
  });

  it("of a written file reach the node whole", async () => {
    const received: Uint8Array[] = [];
    const write = async (_ref: unknown, options: object, data: AsyncIterable<Uint8Array>) => {
      expect(options).toEqual({ mode: 0o644, parents: true });
      for await (const chunk of data) received.push(chunk);
      return aFile;
    };
    const { files } = await serve({ files: { write } });
    async function* requests() {
      const value = { sandbox: "a1b2", path: "/tmp/../tmp/f", parents: true };
      yield { message: { case: "open" as const, value } };
      for (const text of ["one", "two"])
        yield { message: { case: "data" as const, value: Buffer.from(text) } };
    }
    const { file } = await files.write(requests());
    expect(Buffer.concat(received).toString()).toBe("onetwo");
    expect(file?.sizeBytes).toBe(6n);
  });

  it("whose first message is out of place are refused", async () => {
    const { processes } = await serve({});
    async function* requests() {
      yield { message: { case: "stdin" as const, value: Buffer.from("x") } };
    }
    expect(await failureOf(drain(processes.exec(requests())))).toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });
});

describe("bad input", () => {
  it.each([
    ["a name that is none", { sandbox: "../etc" }],
    ["nothing", { sandbox: "" }],
    ["a name with a NUL", { sandbox: "a\0b" }],
  ])("%s is refused before the node is asked", async (_what, request) => {
    const { sandboxes } = await serve({});
    expect((await failureOf(sandboxes.get(request))).code).toBe(status.INVALID_ARGUMENT);
  });

  it.each([0, 1001, 4_000_000_000])("a fork into %d is refused", async (count) => {
    const { sandboxes } = await serve({});
    const error = await failureOf(drain(sandboxes.fork({ sandbox: "a1b2", count })));
    expect(error).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining("1 to 1000"),
    });
  });

  it("the usage of more than 1,000 sandboxes is refused", async () => {
    const listStats = async () => new Map();
    const { sandboxes } = await serve({ sandboxes: { listStats } });
    const ask = (count: number) => sandboxes.listStats({ sandboxes: Array<string>(count).fill("a1b2") });
    expect((await ask(1000)).stats).toEqual({});
    const error = await failureOf(ask(1001));
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining("1001") });
  });

  it.each([
    ["a NUL", "/tmp/a\0b", "NUL"],
    ["5,000 bytes", `/${"x".repeat(4999)}`, "5000 bytes"],
    ["nothing", "", "empty"],
  ])("a path with %s is refused", async (_what, path, said) => {
    const { files } = await serve({});
    const error = await failureOf(files.stat({ sandbox: "a1b2", path }));
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining(said) });
  });

  it("a command line of 10 MiB is refused with its size", async () => {
    const { processes } = await serve({});
    const error = await failureOf(drain(processes.exec(startOf("a1b2", ["echo", "x".repeat(10 * 2 ** 20)]))));
    expect(error).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining("10485766 bytes"),
    });
  });

  it("limits with a template are refused, not forgotten", async () => {
    const { sandboxes } = await serve({});
    const request = { source: { case: "template" as const, value: "python" }, limits: { pids: 100 } };
    expect((await failureOf(sandboxes.create(request))).code).toBe(status.INVALID_ARGUMENT);
  });
});

const aFile = {
  path: "/tmp/f",
  name: "f",
  type: "regular" as const,
  sizeBytes: 6,
  mode: 0o644,
  uid: 1000,
  gid: 1000,
  owner: "user",
  group: "user",
  modifiedAt: new Date(0),
};

async function* startOf(sandbox: string, argv: string[]) {
  yield { message: { case: "start" as const, value: { sandbox, argv } } };
}

/** Sends one chunk and then keeps the stream open. */
async function* openInput(sandbox: string, argv: string[], chunk: Uint8Array) {
  yield* startOf(sandbox, argv);
  yield { message: { case: "stdin" as const, value: chunk } };
  await new Promise(() => {});
}

function deferred() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Waits until a number has stopped growing. */
async function settled(read: () => number): Promise<void> {
  let before = -1;
  await expect
    .poll(
      () => {
        const now = read();
        const isStill = now === before;
        before = now;
        return isStill;
      },
      { interval: 100 },
    )
    .toBe(true);
}
