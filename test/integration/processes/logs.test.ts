import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitUntil } from "../../../src/lib/signal.js";
import { streamLogs } from "../../../src/node/logs.js";
import type { LogChunk } from "../../../src/node/node.js";
import { openSockets, untilSocketsAre } from "./descriptors.js";
import { options, soon, startSandbox, type TestSandbox } from "./start-sandbox.js";

let box: TestSandbox;
beforeAll(async () => {
  box = await startSandbox();
});
afterAll(() => box.stop());

const logs = (more: { pid?: number; follow?: boolean }) =>
  streamLogs(box, box.id, { follow: false, ...more }, soon());

async function collect(chunks: AsyncIterable<LogChunk>) {
  let text = "";
  let dropped = 0;
  for await (const { data, droppedBytes } of chunks) {
    text += Buffer.from(data).toString();
    dropped += droppedBytes;
  }
  return { text, dropped };
}

async function untilWritten(pid: number, bytes: number): Promise<void> {
  const written = async (signal: AbortSignal) =>
    (await box.guest.client.processes(signal)).some((each) => each.pid === pid && each.endSeq >= bytes);
  await waitUntil("output", written, { intervalMs: 10, timeoutMs: 10_000 });
}

describe("logs", () => {
  it("end at what there is of a process that runs on", async () => {
    const { pid } = await box.processes.start(box.id, options("echo one; echo two >&2; sleep 60"), soon());
    await untilWritten(pid, 8);
    const before = openSockets();
    expect((await collect(logs({ pid }))).text.split("\n").sort()).toEqual(["", "one", "two"]);
    await untilSocketsAre(before);
    await box.processes.signal(box.id, pid, 9, { group: true }, soon());
  });

  it("follow until the exit, over dumps", async () => {
    const { pid } = await box.processes.start(
      box.id,
      options("read x; seq 1 50000", { stdin: true }),
      soon(),
    );
    const following = collect(logs({ pid, follow: true }));
    await waitUntil(
      "the follower",
      async (signal) =>
        (await box.guest.client.processes(signal)).some((each) => each.pid === pid && each.readers === 1),
      { intervalMs: 5, timeoutMs: 5_000 },
    );
    await box.processes.write(box.id, pid, Buffer.from("\n"), { eof: true }, soon());
    for (let round = 0; round < 5; round++) await box.dump();
    expect((await following).text).toBe(
      Array.from({ length: 50_000 }, (_, index) => `${index + 1}\n`).join(""),
    );
  });

  it("say how much is no longer kept", async () => {
    const { pid } = await box.processes.start(box.id, options("head -c 500000 /dev/zero"), soon());
    await untilWritten(pid, 500_000);
    const { text, dropped } = await collect(logs({ pid }));
    expect(text.length + dropped).toBe(500_000);
    expect(dropped).toBeGreaterThan(400_000);
  });

  it("are those of the start command unless a process is named", async () => {
    await expect(collect(logs({}))).rejects.toMatchObject({ code: "not_found" });
    await expect(collect(logs({ pid: 99_999 }))).rejects.toMatchObject({ code: "not_found" });
    const { pid } = await box.processes.start(box.id, options("echo started", { tag: "start" }), soon());
    await untilWritten(pid, 8);
    expect((await collect(logs({}))).text).toBe("started\n");
  });
});
