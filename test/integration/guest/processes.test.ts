import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { guestErrorOf } from "../../../src/guest-client/errors.js";
import type { GuestProcess, ProcessEnd } from "../../../src/guest-client/process.js";
import { type StartedGuest, startGuest } from "./start-guest.js";

let guest: StartedGuest;
beforeAll(async () => {
  guest = await startGuest();
});
afterAll(() => guest.stop());

const soon = () => AbortSignal.timeout(20_000);

async function readAll(process: GuestProcess): Promise<{ text: Record<string, string>; end: ProcessEnd }> {
  const text: Record<string, string> = {};
  for await (const { stream, data } of process.output) text[stream] = (text[stream] ?? "") + data.toString();
  return { text, end: await process.exit };
}

async function run(
  script: string,
  options: { user?: string; env?: Record<string, string>; cwd?: string } = {},
) {
  return readAll(await guest.client.spawn({ argv: ["sh", "-c", script], ...options }, soon()));
}

describe("processes", () => {
  it("run with their output apart, and give their exit code", async () => {
    const { text, end } = await run('echo "$A in $PWD as $(id -u)"; echo bad >&2; exit 7', {
      env: { A: "1" },
      cwd: "/tmp",
      user: "nobody",
    });
    expect(text).toEqual({ stdout: "1 in /tmp as 65534\n", stderr: "bad\n" });
    expect(end).toMatchObject({ kind: "exited", exit: { status: { kind: "code", code: 7 } } });
  });

  it("give the signal that killed them", async () => {
    const { end } = await run("kill -TERM $$");
    expect(end).toMatchObject({ kind: "exited", exit: { status: { kind: "signal", signal: 15 } } });
  });

  it("take input as large as it comes, and end of input", async () => {
    const cat = await guest.client.spawn({ argv: ["cat"], stdin: true }, soon());
    const sent = Buffer.alloc(5 * 1024 * 1024, "0123456789abcdef");
    const writing = cat.stdin.write(sent).then(() => cat.stdin.end());
    const pieces: Buffer[] = [];
    for await (const { data } of cat.output) pieces.push(data);
    await writing;
    expect(Buffer.concat(pieces).equals(sent)).toBe(true);
    expect(await cat.exit).toMatchObject({ kind: "exited", exit: { seq: sent.length } });
  });

  it("have a terminal that can be resized", async () => {
    const process = await guest.client.spawn(
      { argv: ["sh", "-c", "stty size; read x; stty size"], terminal: { rows: 10, columns: 20 } },
      soon(),
    );
    let text = "";
    for await (const { stream, data } of process.output) {
      expect(stream).toBe("terminal");
      text += data.toString();
      if (text === "10 20\r\n") {
        await process.resize({ rows: 30, columns: 40 }, soon());
        await process.stdin.write(Buffer.from("\n"));
      }
    }
    expect(text).toMatch(/^10 20\r\n(\r\n)?30 40\r\n$/);
  });

  it("go on without readers, are found again by tag, and are read by several", async () => {
    const script = "echo one; read x; echo two";
    const pid = await guest.client.start({ argv: ["sh", "-c", script], tag: "again", stdin: true }, soon());
    const target = { tag: "again" };
    const listed = (await guest.client.processes(soon())).find((process) => process.pid === pid);
    expect(listed).toMatchObject({
      state: "running",
      tag: "again",
      argv: ["sh", "-c", script],
      stdinOpen: true,
    });

    const readers = [
      await guest.client.attach(target, { from: "oldest" }, soon()),
      await guest.client.attach({ pid }, { from: { seq: 0 } }, soon()),
    ];
    await guest.client.writeInput(target, { data: Buffer.from("x\n"), eof: true }, soon());
    for (const reader of readers) expect((await readAll(reader)).text["stdout"]).toBe("one\ntwo\n");

    expect(await guest.client.waitForExit({ pid }, soon())).toMatchObject({
      status: { kind: "code", code: 0 },
    });
    await guest.client.forget({ pid }, soon());
    await expect(guest.client.attach({ pid }, { from: "oldest" }, soon())).rejects.toMatchObject({
      code: "not_found",
    });
  });

  it("keep only their newest output, and say how much is gone", async () => {
    const pid = await guest.client.start(
      { argv: ["sh", "-c", "head -c 20000 /dev/zero"], ringBytes: 4096 },
      soon(),
    );
    await guest.client.waitForExit({ pid }, soon());
    const late = await guest.client.attach({ pid }, { from: "oldest" }, soon());
    expect(late.droppedBytes).toBeGreaterThanOrEqual(20_000 - 4096);
    expect(late.startSeq).toBe(late.droppedBytes);
    const { text } = await readAll(late);
    expect((text["stdout"] ?? "").length).toBe(20_000 - late.startSeq);
  });

  it("are signalled alone or with their group", async () => {
    const process = await guest.client.spawn({ argv: ["sh", "-c", "sleep 100 & sleep 100"] }, soon());
    await guest.client.signal({ pid: process.pid }, { signo: 0, group: false }, soon());
    await guest.client.signal({ pid: process.pid }, { signo: 9, group: true }, soon());
    expect((await readAll(process)).end).toMatchObject({ exit: { status: { kind: "signal", signal: 9 } } });
  });

  it("die with their connection only if asked to", async () => {
    const kept = await guest.client.spawn({ argv: ["sleep", "100"] }, soon());
    const killed = await guest.client.spawn({ argv: ["sleep", "100"], killOnClose: true }, soon());
    kept.close();
    killed.close();
    expect(await guest.client.waitForExit({ pid: killed.pid }, soon())).toMatchObject({
      status: { kind: "signal", signal: 9 },
    });
    await guest.client.signal({ pid: kept.pid }, { signo: 9, group: true }, soon());
  });

  it.each([
    ["a command that does not exist", { argv: ["/no/such/command"] }, "not_found", "exec_failed"],
    ["a file that is not executable", { argv: ["/etc/passwd"] }, "failed_precondition", "exec_failed"],
    [
      "a user that does not exist",
      { argv: ["true"], user: "nosuchuser" },
      "invalid_argument",
      "no_such_user",
    ],
    [
      "a uid that it does not have",
      { argv: ["true"], user: "4294967295" },
      "invalid_argument",
      "no_such_user",
    ],
    ["a directory that does not exist", { argv: ["true"], cwd: "/no/such" }, "not_found", "bad_cwd"],
  ])("refuse %s", async (_name, spawn, code, guestCode) => {
    const error = await guest.client.spawn(spawn, soon()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect(guestErrorOf(error)?.code).toBe(guestCode);
  });

  it("let go at once when aborted", async () => {
    const controller = new AbortController();
    const process = await guest.client.spawn({ argv: ["sleep", "100"] }, controller.signal);
    const reading = readAll(process);
    controller.abort();
    await expect(reading).rejects.toMatchObject({ code: "cancelled" });
    await expect(process.exit).rejects.toMatchObject({ code: "cancelled" });
    await guest.client.signal({ pid: process.pid }, { signo: 9, group: false }, soon());
  });

  it("are slowed down to the pace of their reader", async () => {
    const process = await guest.client.spawn({ argv: ["sh", "-c", "yes"] }, soon());
    const before = globalThis.process.memoryUsage().rss;
    let bytes = 0;
    for await (const { data } of process.output) {
      bytes += data.length;
      if (bytes > 2 * 1024 * 1024) break;
    }
    expect(globalThis.process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    expect(await process.exit).toMatchObject({ kind: "detached" });
    await guest.client.signal({ pid: process.pid }, { signo: 9, group: true }, soon());
  });
});

describe("a dump", () => {
  it("loses no output between quiesce and the next attach", async () => {
    const count = 20_000;
    const argv = ["sh", "-c", `i=0; while [ $i -lt ${count} ]; do echo $i; i=$((i+1)); done`];
    const first = await guest.client.spawn({ argv }, soon());
    const pieces: Buffer[] = [];
    let quiesced = false;
    for await (const { data } of first.output) {
      pieces.push(data);
      if (!quiesced) await guest.client.quiesce({ holdMs: 10_000 }, soon());
      quiesced = true;
    }
    const end = await first.exit;
    expect(end.kind).toBe("detached");
    const seq = end.kind === "detached" ? end.seq : 0;
    const second = await guest.client.attach({ pid: first.pid }, { from: { seq } }, soon());
    await guest.client.release(soon());
    expect(second).toMatchObject({ startSeq: seq, droppedBytes: 0 });
    for await (const { data } of second.output) pieces.push(data);
    const lines = Buffer.concat(pieces).toString().trimEnd().split("\n");
    expect(lines.length).toBe(count);
    expect(lines.every((line, index) => line === String(index))).toBe(true);
  });
});
