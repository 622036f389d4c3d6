import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DomainError } from "../../../src/lib/errors.js";
import { delay, waitUntil } from "../../../src/lib/signal.js";
import type { ExecEvent, ExecInput } from "../../../src/node/processes.js";
import { openSockets, untilSocketsAre } from "./descriptors.js";
import { gate, noInput, options, outcome, soon, startSandbox, type TestSandbox } from "./start-sandbox.js";

let box: TestSandbox;
beforeEach(async () => {
  box = await startSandbox();
});
afterEach(() => box.stop());

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

/** Dumps again and again while `work` goes on; gives how often, and the work's result. */
async function dumpingUntil<T>(work: Promise<T>): Promise<{ result: T; dumps: number }> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  done.catch(() => {});
  let dumps = 0;
  while (!isDone) {
    await box.dump();
    dumps++;
    await Promise.race([done, delay(15)]);
  }
  return { result: await done, dumps };
}

async function* slowly<T>(items: AsyncIterable<T>, everyMs: number): AsyncGenerator<T> {
  for await (const item of items) {
    await delay(everyMs);
    yield item;
  }
}

describe("output over dumps", () => {
  it("loses and repeats nothing of 50 MB on stdout and stderr", async () => {
    const script = "(seq 1 6500000 & seq 1 200000 >&2; wait); exit 5";
    const reading = outcome(box.processes.exec(box.id, options(script), noInput(), soon()));
    const { result, dumps } = await dumpingUntil(reading);
    const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1}\n`).join("");
    expect(result.stdout.length).toBeGreaterThan(50_000_000);
    expect(sha256(result.stdout)).toBe(sha256(Buffer.from(numbers(6_500_000))));
    expect(sha256(result.stderr)).toBe(sha256(Buffer.from(numbers(200_000))));
    expect(result.last).toEqual({ kind: "exited", status: { kind: "code", code: 5 } });
    expect(dumps).toBeGreaterThan(5);
  });

  it("loses nothing for a reader that is slower than the dumps", async () => {
    const events = box.processes.exec(box.id, options("seq 1 200000"), noInput(), soon());
    const { result, dumps } = await dumpingUntil(outcome(slowly(events, 10)));
    expect(result.stdout.toString().split("\n").length).toBe(200_001);
    expect(dumps).toBeGreaterThan(5);
  });

  it("goes to every reader", async () => {
    const { pid } = await box.processes.start(
      box.id,
      options("read go; seq 1 300000", { stdin: true }),
      soon(),
    );
    const attach = () => outcome(box.processes.attach(box.id, { pid }, { afterSeq: 0 }, noInput(), soon()));
    const readers = Promise.all([attach(), attach(), attach()]);
    await box.processes.write(box.id, pid, Buffer.from("go\n"), { eof: true }, soon());
    const { result } = await dumpingUntil(readers);
    const expected = sha256(Buffer.from(Array.from({ length: 300_000 }, (_, i) => `${i + 1}\n`).join("")));
    expect(result.map(({ stdout }) => sha256(stdout))).toEqual([expected, expected, expected]);
  });

  it("comes from a terminal, too", async () => {
    const terminal = { rows: 24, columns: 80 };
    const events = box.processes.exec(
      box.id,
      options("stty -opost; seq 1 100000", { terminal }),
      noInput(),
      soon(),
    );
    const { result } = await dumpingUntil(outcome(events));
    expect(result.stdout.toString().split("\n").length).toBe(100_001);
  });

  it("of a process that exits while the gate is closed is complete", async () => {
    const reading = outcome(
      box.processes.exec(box.id, options("echo a; read -t 0.3 x < <(sleep 9); echo b"), noInput(), soon()),
    );
    await waitUntil("the process", async () => (await box.processes.list(box.id, soon())).length === 1, {
      intervalMs: 5,
      timeoutMs: 5_000,
    });
    await box.guests.close(box.id, soon());
    await waitUntil(
      "the exit",
      async (signal) => (await box.guest.client.processes(signal))[0]?.state === "exited",
      { intervalMs: 10, timeoutMs: 5_000 },
    );
    await box.guests.open(box.id, soon());
    const { stdout, last } = await reading;
    expect(stdout.toString()).toBe("a\nb\n");
    expect(last?.kind).toBe("exited");
  });
});

describe("input over dumps", () => {
  it("loses and repeats nothing of 5 MB", async () => {
    const data = randomBytes(5 * 1024 * 1024);
    async function* input(): AsyncGenerator<ExecInput> {
      for (let at = 0; at < data.length; at += 20_000) {
        yield { kind: "stdin", data: data.subarray(at, at + 20_000) };
      }
      yield { kind: "eof" };
    }
    const script = "while head -c 100000 > chunk && [ -s chunk ]; do cat chunk; sleep 0.02; done | sha256sum";
    const running = outcome(
      box.processes.exec(box.id, options(script, { stdin: true, cwd: box.guest.dir }), input(), soon()),
    );
    const { result, dumps } = await dumpingUntil(running);
    expect(result.stdout.toString().split(" ")[0]).toBe(sha256(data));
    expect(dumps).toBeGreaterThan(5);
  });

  it("that waits for a process which does not read yet arrives once", async () => {
    const data = randomBytes(1024 * 1024);
    const { pid } = await box.processes.start(
      box.id,
      options("sleep 2; sha256sum", { stdin: true, tag: "late" }),
      soon(),
    );
    const reading = outcome(box.processes.attach(box.id, { pid }, { afterSeq: 0 }, noInput(), soon()));
    const { dumps } = await dumpingUntil(box.processes.write(box.id, pid, data, { eof: true }, soon()));
    expect((await reading).stdout.toString().split(" ")[0]).toBe(sha256(data));
    expect(dumps).toBeGreaterThan(2);
  });
});

describe("the gate", () => {
  it("leaves the guest without a connection while it is closed", async () => {
    const stop = new AbortController();
    const following = [1, 2, 3].map(() =>
      outcome(box.processes.exec(box.id, options("sleep 60"), noInput(), stop.signal)).catch(() => {}),
    );
    const watching = outcomeOfWatch(stop.signal);
    await waitUntil("the processes", async () => (await box.processes.list(box.id, soon())).length === 3, {
      intervalMs: 5,
      timeoutMs: 5_000,
    });
    await box.guests.close(box.id, soon());
    expect(await box.guest.client.info(soon())).toMatchObject({ connections: 1, held: true });
    await box.guests.open(box.id, soon());
    const { connections, held } = await box.guest.client.info(soon());
    expect(held).toBe(false);
    expect(connections).toBe(4);
    stop.abort();
    await Promise.all([...following, watching]);
  });

  async function outcomeOfWatch(signal: AbortSignal): Promise<void> {
    try {
      const ref = { sandbox: box.id, path: box.guest.dir };
      for await (const _ of box.files.watch(ref, { recursive: false }, signal));
    } catch {
      // Aborted.
    }
  }

  it("holds calls back until it is open", async () => {
    await box.guests.close(box.id, soon());
    let isAnswered = false;
    const listing = box.processes.list(box.id, soon()).finally(() => {
      isAnswered = true;
    });
    const starting = outcome(box.processes.exec(box.id, options("echo late"), noInput(), soon()));
    // Long enough for an answer, were the gate open.
    await delay(100);
    expect(isAnswered).toBe(false);
    await box.guests.open(box.id, soon());
    expect(await listing).toBeInstanceOf(Array);
    expect((await starting).stdout.toString()).toBe("late\n");
  });

  it("waits for a call in flight", async () => {
    const data = Buffer.alloc(300_000, "x");
    const asked = gate();
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (let piece = 0; piece < 10; piece++) {
        asked.open();
        await delay(30);
        yield data.subarray(piece * 30_000, (piece + 1) * 30_000);
      }
    }
    const path = join(box.guest.dir, "slow");
    const writing = box.files.write(
      { sandbox: box.id, path },
      { mode: 0o644, parents: false },
      slow(),
      soon(),
    );
    await asked.opened;
    await box.dump();
    expect(await writing).toMatchObject({ sizeBytes: data.length });
    expect(await readFile(path)).toEqual(data);
  });

  it("ends a write that does not end by itself, and leaves no part of it", async () => {
    const begun = gate();
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("begun");
      begun.open();
      await new Promise(() => {});
    }
    const path = join(box.guest.dir, "endless");
    await writeFile(path, "before");
    const writing = box.files.write(
      { sandbox: box.id, path },
      { mode: 0, parents: false },
      endless(),
      soon(),
    );
    const refused = expect(writing).rejects.toMatchObject({ code: "unavailable" });
    await begun.opened;
    await box.dump();
    await refused;
    expect(await readFile(path, "utf8")).toBe("before");
    const names: string[] = [];
    for await (const { name } of box.files.list(
      { sandbox: box.id, path: box.guest.dir },
      { depth: 1 },
      soon(),
    ))
      names.push(name);
    expect(names.filter((name) => name.includes("endless"))).toEqual(["endless"]);
  });

  it("ends calls and streams with the reason when the sandbox goes", async () => {
    const reason = new DomainError("unavailable", "sandbox was paused");
    const events = box.processes.exec(box.id, options("echo said; sleep 60"), noInput(), soon());
    const seen: ExecEvent[] = [];
    const following = (async () => {
      for await (const event of events) seen.push(event);
    })();
    const ended = expect(following).rejects.toBe(reason);
    await waitUntil("output", () => seen.length === 2, { intervalMs: 5, timeoutMs: 5_000 });
    await box.guests.close(box.id, soon());
    const waiting = expect(box.processes.list(box.id, soon())).rejects.toBe(reason);
    box.guests.remove(box.id, reason);
    await Promise.all([ended, waiting]);
    await expect(box.processes.list(box.id, soon())).rejects.toMatchObject({ code: "failed_precondition" });
  });

  it("lets everything go on when the dump's quiesce fails", async () => {
    const reading = outcome(box.processes.exec(box.id, options("seq 1 300000"), noInput(), soon()));
    const aborted = AbortSignal.abort(new DomainError("cancelled", "the caller left"));
    await expect(box.guests.close(box.id, aborted)).rejects.toMatchObject({ code: "cancelled" });
    await box.guests.open(box.id, soon());
    expect((await reading).stdout.toString().split("\n").length).toBe(300_001);
  });

  it("leaks no sockets over many dumps", async () => {
    const before = openSockets();
    const stop = new AbortController();
    const following = [1, 2, 3].map(() =>
      outcome(box.processes.exec(box.id, options("yes"), noInput(), stop.signal)).catch(() => {}),
    );
    for (let round = 0; round < 20; round++) await box.dump();
    stop.abort();
    await Promise.all(following);
    await untilSocketsAre(before);
  });

  it("waits at the start until the guest answers, and takes over from a gate before", async () => {
    const reading = outcome(box.processes.exec(box.id, options("sleep 60"), noInput(), soon()));
    const ended = expect(reading).rejects.toMatchObject({ code: "unavailable" });
    await waitUntil("the process", async () => (await box.processes.list(box.id, soon())).length === 1, {
      intervalMs: 5,
      timeoutMs: 5_000,
    });
    await box.guests.add(box.id, box.guest.dir, soon());
    await ended;
    expect((await box.processes.list(box.id, soon())).length).toBe(1);
  });
});
