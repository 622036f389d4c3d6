import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitUntil } from "../../../src/lib/signal.js";
import type { ExecEvent, ExecInput } from "../../../src/node/processes.js";
import { openSockets, untilSocketsAre } from "./descriptors.js";
import { gate, noInput, options, outcome, soon, startSandbox, type TestSandbox } from "./start-sandbox.js";

let box: TestSandbox;
beforeAll(async () => {
  box = await startSandbox();
});
afterAll(() => box.stop());

const run = (script: string, more = {}, input: AsyncIterable<ExecInput> = noInput()) =>
  outcome(box.processes.exec(box.id, options(script, more), input, soon()));

async function* typed(...pieces: string[]): AsyncGenerator<ExecInput> {
  for (const piece of pieces) yield { kind: "stdin", data: Buffer.from(piece) };
  yield { kind: "eof" };
}

async function isRunning(pid: number): Promise<boolean> {
  const listed = await box.processes.list(box.id, soon());
  return listed.some((process) => process.pid === pid && process.exited === undefined);
}

const untilGone = (pid: number) =>
  waitUntil(`process ${pid} to end`, async () => !(await isRunning(pid)), {
    intervalMs: 10,
    timeoutMs: 10_000,
  });

describe("exec", () => {
  it("gives stdout and stderr apart and the exit code", async () => {
    const done = await run("echo out; echo err >&2; exit 7");
    expect(done.stdout.toString()).toBe("out\n");
    expect(done.stderr.toString()).toBe("err\n");
    expect(done.last).toEqual({ kind: "exited", status: { kind: "code", code: 7 } });
  });

  it("gives the signal that ended it", async () => {
    const { last } = await run("kill -KILL $$");
    expect(last).toEqual({ kind: "exited", status: { kind: "signal", signal: 9 } });
  });

  it("runs with the environment, directory and user that were asked for", async () => {
    const { stdout } = await run('echo "$A $PWD $(id -u)"', { env: { A: "b" }, cwd: "/tmp", user: "nobody" });
    expect(stdout.toString()).toBe("b /tmp 65534\n");
  });

  it("passes input on until its end", async () => {
    const { stdout, last } = await run("cat; echo end", { stdin: true }, typed("one\n", "two\n"));
    expect(stdout.toString()).toBe("one\ntwo\nend\n");
    expect(last).toEqual({ kind: "exited", status: { kind: "code", code: 0 } });
  });

  it("lives on when the process does not read its input", async () => {
    const { last } = await run("exec 0<&-; sleep 0.2; exit 3", { stdin: true }, typed("x".repeat(300_000)));
    expect(last).toEqual({ kind: "exited", status: { kind: "code", code: 3 } });
  });

  it("refuses input that was not asked for", async () => {
    await expect(run("sleep 5", {}, typed("x"))).rejects.toMatchObject({ code: "failed_precondition" });
  });

  it("has a terminal with a size that can change", async () => {
    const seen = gate();
    async function* input(): AsyncGenerator<ExecInput> {
      await seen.opened;
      yield { kind: "resize", size: { rows: 40, columns: 100 } };
      yield { kind: "stdin", data: Buffer.from("go\n") };
    }
    async function* noticing(events: AsyncIterable<ExecEvent>): AsyncGenerator<ExecEvent> {
      for await (const event of events) {
        if (event.kind === "output" && Buffer.from(event.data).includes("xterm")) seen.open();
        yield event;
      }
    }
    const script = 'stty size; echo "$TERM"; read line; stty size';
    const terminal = { rows: 10, columns: 20 };
    const { stdout } = await outcome(
      noticing(box.processes.exec(box.id, options(script, { terminal }), input(), soon())),
    );
    const lines = stdout
      .toString()
      .split("\r\n")
      .filter((line) => line !== "go");
    expect(lines).toEqual(["10 20", "xterm-256color", "40 100", ""]);
  });

  it.each([
    ["a command that is missing", { argv: ["/no/such"] }, "not_found"],
    ["an empty command line", { argv: [] }, "invalid_argument"],
    ["a user that is missing", { user: "nosuchuser" }, "invalid_argument"],
    ["a directory that is missing", { cwd: "/no/such" }, "invalid_argument"],
  ])("refuses %s", async (_, more, code) => {
    await expect(run("true", more)).rejects.toMatchObject({ code });
  });

  it("tells by name that a tag is taken", async () => {
    const { pid } = await box.processes.start(box.id, options("sleep 60", { tag: "mine" }), soon());
    await expect(run("true", { tag: "mine" })).rejects.toMatchObject({ code: "already_exists" });
    await box.processes.signal(box.id, pid, 9, { group: true }, soon());
    await untilGone(pid);
  });
});

describe("leaving", () => {
  async function leave(killOnClose: boolean, how: "return" | "abort"): Promise<number> {
    const controller = new AbortController();
    const events = box.processes
      .exec(box.id, options("echo hello; sleep 60", { killOnClose }), noInput(), controller.signal)
      [Symbol.asyncIterator]();
    const { value } = await events.next();
    await events.next();
    if (how === "return") await events.return?.();
    else controller.abort();
    if (how === "abort") await expect(events.next()).rejects.toMatchObject({ code: "cancelled" });
    return (value as Extract<ExecEvent, { kind: "started" }>).pid;
  }

  it.each(["return", "abort"] as const)("by %s leaves the process running", async (how) => {
    const pid = await leave(false, how);
    expect(await isRunning(pid)).toBe(true);
    await box.processes.signal(box.id, pid, 9, { group: true }, soon());
    await untilGone(pid);
  });

  it.each(["return", "abort"] as const)("by %s ends it with killOnClose", async (how) => {
    await untilGone(await leave(true, how));
  });

  it("while a dump is under way ends it with killOnClose, too", async () => {
    const controller = new AbortController();
    const events = box.processes
      .exec(box.id, options("echo hello; sleep 60", { killOnClose: true }), noInput(), controller.signal)
      [Symbol.asyncIterator]();
    const { value } = await events.next();
    await events.next();
    await box.guests.close(box.id, soon());
    const leaving = events.return?.();
    await box.guests.open(box.id, soon());
    await leaving;
    await untilGone((value as Extract<ExecEvent, { kind: "started" }>).pid);
  });

  it("leaks no sockets", async () => {
    const before = openSockets();
    for (let round = 0; round < 20; round++) {
      const events = box.processes
        .exec(box.id, options("yes", { killOnClose: true }), noInput(), soon())
        [Symbol.asyncIterator]();
      await events.next();
      await events.next();
      await events.return?.();
    }
    await untilSocketsAre(before);
  });
});

describe("attach", () => {
  it("goes on by position, by pid and by tag, with several readers", async () => {
    const { pid } = await box.processes.start(
      box.id,
      options("echo one; read line; echo two; exit 4", { tag: "reread", stdin: true }),
      soon(),
    );
    await waitUntil(
      "output",
      async (signal) =>
        (await box.guest.client.processes(signal)).some((each) => each.pid === pid && each.endSeq === 4),
      { intervalMs: 5, timeoutMs: 5_000 },
    );
    const byPid = outcome(box.processes.attach(box.id, { pid }, { afterSeq: 0 }, noInput(), soon()));
    const byTag = outcome(
      box.processes.attach(box.id, { tag: "reread" }, { afterSeq: 4 }, noInput(), soon()),
    );
    await box.processes.write(box.id, pid, Buffer.from("go\n"), { eof: true }, soon());
    expect((await byPid).stdout.toString()).toBe("one\ntwo\n");
    expect((await byTag).stdout.toString()).toBe("two\n");
    expect((await byTag).last).toEqual({ kind: "exited", status: { kind: "code", code: 4 } });
  });

  it("says how much is no longer kept", async () => {
    const { pid } = await box.processes.start(box.id, options("head -c 1000000 /dev/zero"), soon());
    await untilGone(pid);
    const events = box.processes.attach(box.id, { pid }, { afterSeq: 10 }, noInput(), soon());
    const first = await events[Symbol.asyncIterator]().next();
    expect(first.value).toMatchObject({ kind: "started", pid });
    expect((first.value as Extract<ExecEvent, { kind: "started" }>).droppedBytes).toBeGreaterThan(900_000);
  });

  it("refuses what is not there", async () => {
    const attach = (process: { pid: number }, afterSeq: number) =>
      outcome(box.processes.attach(box.id, process, { afterSeq }, noInput(), soon()));
    await expect(attach({ pid: 99_999 }, 0)).rejects.toMatchObject({ code: "not_found" });
    const { pid } = await box.processes.start(box.id, options("true"), soon());
    await expect(attach({ pid }, 1000)).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

describe("control", () => {
  it("tells a process that has exited from one that never was", async () => {
    const { pid } = await box.processes.start(box.id, options("true"), soon());
    await untilGone(pid);
    const signal = (target: number) => box.processes.signal(box.id, target, 15, { group: false }, soon());
    await expect(signal(pid)).rejects.toMatchObject({ code: "failed_precondition" });
    await expect(signal(99_999)).rejects.toMatchObject({ code: "not_found" });
  });

  it("lists what runs and what has exited", async () => {
    const { pid } = await box.processes.start(
      box.id,
      options("exit 9", { tag: "listed", cwd: "/tmp" }),
      soon(),
    );
    await untilGone(pid);
    const listed = await box.processes.list(box.id, soon());
    expect(listed.find((process) => process.pid === pid)).toMatchObject({
      ...{ tag: "listed", cwd: "/tmp", terminal: false, exited: { kind: "code", code: 9 } },
      argv: ["bash", "-c", "exit 9"],
    });
  });
});
