/** What a sandbox's memory counts as: its own, or shared with others; and which of it a limit counts. */
import { readdirSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, it } from "vitest";
import { becomes, openBox, soon } from "../../support/box.js";
import { ask } from "./workloads/workload.js";

const box = openBox("memory");

const MiB = 2 ** 20;
const port = 7100;
const limitBytes = 48 * MiB;

/** Holds memory of random bytes, and answers each question about it with a sum and a size. */
const holder = `
import json, os, socket
held = []
def fill(size):
    block = bytearray(size << 20)
    for at in range(0, len(block), 1 << 20):
        block[at:at + (1 << 20)] = os.urandom(1 << 20)
    held.append(block)
def read():
    return sum(block[at] for block in held for at in range(0, len(block), 4096))
def change(size):
    left = size << 20
    for block in held:
        for at in range(0, min(left, len(block)), 4096):
            block[at] ^= 255
        left -= min(left, len(block))
words = {'fill': fill, 'change': change, 'read': lambda size: None}
s = socket.create_server(('127.0.0.1', ${port}))
while True:
    c, _ = s.accept()
    with c, c.makefile('rw') as f:
        word, size = f.readline().split(':')
        words[word](int(size))
        f.write(json.dumps({'exact': read(), 'progress': len(held)}) + '\\n')
`;

const tell = async (ref: string, question: string) => (await ask(box, ref, port, question)).exact;
const stats = (ref: string) => box.node.sandboxes.stats(ref, soon());

/** A checkpoint with 64 MiB, made under a limit of 48: half of it is of the one before. Gives what is read in it. */
async function takeLarge(): Promise<{ checkpoint: string; sum: unknown }> {
  await box.buildTemplate({ name: "limited", limits: { memoryBytes: limitBytes } });
  const first = await box.node.sandboxes.create(
    { source: { kind: "template", template: "limited" }, labels: {}, env: {} },
    soon(),
  );
  await box.start(first.id, ["python3", "-c", holder]);
  await box.sh(
    first.id,
    "for i in {1..500}; do grep -q :1BBC /proc/net/tcp && exit; sleep 0.02; done; exit 1",
  );
  await tell(first.id, "fill:32");
  const half = await box.node.checkpoints.create(first.id, {}, soon());
  await box.node.sandboxes.delete(first.id, { force: true }, soon());
  const second = await restored(half.id);
  const sum = await tell(second, "fill:32");
  const whole = await box.node.checkpoints.create(second, {}, soon());
  await box.node.sandboxes.delete(second, { force: true }, soon());
  expect(half.memoryBytes).toBeGreaterThan(32 * MiB);
  expect(whole).toMatchObject({ inheritedBytes: expect.any(Number) });
  expect(whole.inheritedBytes).toBeGreaterThan(32 * MiB);
  expect(whole.memoryBytes).toBeGreaterThan(32 * MiB);
  return { checkpoint: whole.id, sum };
}

const restored = async (checkpoint: string) =>
  (
    await box.node.sandboxes.create(
      { source: { kind: "checkpoint", checkpoint }, labels: {}, env: {} },
      soon(),
    )
  ).id;

/** So that who reads it next is charged for the page cache. Only what nothing maps can go. */
async function forgetCached(checkpoint: string): Promise<void> {
  const directory = join(box.test.dataDir, "checkpoints", checkpoint, "memory");
  for (const name of readdirSync(directory))
    await execa("dd", [`of=${join(directory, name)}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"]);
}

it("is shared up to the size of the files it came from, and its own where it is changed", async () => {
  const { checkpoint, sum } = await takeLarge();
  const clone = await restored(checkpoint);
  const before = await stats(clone);
  expect(before.sharedMemoryMaxBytes).toBeGreaterThan(64 * MiB);
  expect(before.sharedMemoryMaxBytes).toBeLessThan(80 * MiB);
  expect(before.memoryRssBytes).toBeLessThan(8 * MiB);
  expect(await tell(clone, "read:0")).toBe(sum);
  expect((await stats(clone)).memoryRssBytes).toBeLessThan(before.memoryRssBytes + 4 * MiB);
  await tell(clone, "change:16");
  const after = await stats(clone);
  expect(after.memoryRssBytes - before.memoryRssBytes).toBeGreaterThan(15 * MiB);
  expect(after.memoryRssBytes - before.memoryRssBytes).toBeLessThan(24 * MiB);
  expect(after.sharedMemoryMaxBytes).toBe(before.sharedMemoryMaxBytes);
  expect((await stats((await box.create()).id)).sharedMemoryMaxBytes).toBe(0);
});

it("may be read beyond the limit, also where its page cache is charged to the reader", async () => {
  const { checkpoint, sum } = await takeLarge();
  await forgetCached(checkpoint);
  const clone = await restored(checkpoint);
  for (let times = 0; times < 3; times++) expect(await tell(clone, "read:0")).toBe(sum);
  const reading = await stats(clone);
  expect(reading).toMatchObject({ memoryLimitBytes: limitBytes, oomKills: 0 });
  // The files' pages go again when the limit is reached.
  expect(reading.memoryUsageBytes).toBeGreaterThan(24 * MiB);
  expect(reading.memoryUsageBytes).toBeLessThanOrEqual(limitBytes);
  await tell(clone, "change:16");
  expect((await stats(clone)).oomKills).toBe(0);
});

it("ends a process that changes more than the limit", async () => {
  const { checkpoint } = await takeLarge();
  const clone = await restored(checkpoint);
  await expect(tell(clone, "change:64")).rejects.toThrow();
  await becomes("the event", async () => (await box.events("sandbox.oom", clone)).length > 0);
  expect((await stats(clone)).oomKills).toBeGreaterThan(0);
  expect(await box.sh(clone, "echo alive")).toBe("alive");
});

/** Fills most of the limit, and 128 KiB more at each SIGUSR1. */
const filler = `
import os, signal
held = [os.urandom(1 << 20) for _ in range(36)]
signal.signal(signal.SIGUSR1, lambda *_: held.append(os.urandom(1 << 17)))
open('/tmp/filled', 'w').write('1')
while True:
    signal.pause()
`;

it("may stand at the limit when it is paused, and is resumed under the same", async () => {
  await box.buildTemplate({ name: "limited", limits: { memoryBytes: limitBytes } });
  const source = { kind: "template", template: "limited" } as const;
  const { id } = await box.node.sandboxes.create({ source, labels: {}, env: {} }, soon());
  const pid = await box.start(id, ["python3", "-c", filler]);
  await box.sh(id, "for i in {1..500}; do [ -s /tmp/filled ] && exit; sleep 0.02; done; exit 1");
  const isFull = async () => {
    await box.node.processes.signal(id, pid, constants.signals.SIGUSR1, { group: false }, soon());
    return (await stats(id)).memoryUsageBytes > limitBytes - 0.3 * MiB;
  };
  await becomes("full", isFull, 30_000);
  const before = await stats(id);
  await box.node.sandboxes.pause(id, soon());
  await box.node.sandboxes.resume(id, soon());
  const after = await stats(id);
  expect(after).toMatchObject({ memoryLimitBytes: limitBytes, oomKills: 0, pids: before.pids });
  expect(after.memoryRssBytes).toBeGreaterThan(before.memoryRssBytes - MiB);
});
