/** The disk fills up in the middle of a dump: one clear error, nothing left, the sandbox runs on. */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openCopier } from "../../../src/lib/copier.js";
import { becomes, openBox, soon } from "../../support/box.js";

const box = openBox("disk");

let id: string;
const disk = () => join(box.test.dataDir, "small.ext4");
const mountPoint = () => join(box.test.dataDir, "checkpoints");

/** Holds 100 MiB of its own, and says their checksum over and over, with the number of the time. */
const program = `
import hashlib, itertools, os
data = os.urandom(100 << 20)
for n in itertools.count():
    with open('/tmp/new', 'w') as f: print(hashlib.md5(data).hexdigest(), n, file=f)
    os.rename('/tmp/new', '/tmp/said')
`;

async function said(): Promise<{ sum: string; times: number }> {
  const [sum = "", times] = (await box.sh(id, "cat /tmp/said")).split(" ");
  return { sum, times: Number(times) };
}

describe("while memory is written", () => {
  beforeEach(async () => {
    ({ id } = await box.create());
    await box.start(id, ["python3", "-c", program]);
    await becomes("its memory is filled", async () => (await said()).times > 0);
    await execa("truncate", ["-s", "48M", disk()]);
    await execa("mkfs.ext4", ["-q", disk()]);
    await execa("mount", ["-o", "loop", disk(), mountPoint()]);
  });

  afterEach(async () => {
    await execa("umount", [mountPoint()]).catch(() => undefined);
    rmSync(disk(), { force: true });
  });

  it.each([
    ["checkpoint", () => box.node.checkpoints.create(id, {}, soon())],
    ["pause", () => box.node.sandboxes.pause(id, soon())],
    ["fork", () => box.fork(id, { count: 2 })],
  ] as const)("in a %s", async (_name, operation) => {
    const { sum } = await said();
    const before = await box.holdings();
    await expect(operation()).rejects.toMatchObject({
      code: "resource_exhausted",
      message: expect.stringContaining("disk is full"),
    });
    expect((await box.node.sandboxes.get(id)).state.status).toBe("running");
    const { times } = await said();
    // The checksum that was being made at the failure, and one after it.
    await becomes("it goes on", async () => (await said()).times > times + 1);
    expect((await said()).sum).toBe(sum);
    await box.expectNoLeak(before);

    await execa("umount", [mountPoint()]);
    await operation();
  });
});

it("while the layer is copied", async () => {
  const [from, to] = [join(box.test.dataDir, "layer"), join(box.test.dataDir, "full")];
  mkdirSync(from);
  mkdirSync(to);
  writeFileSync(join(from, "large"), Buffer.alloc(2 << 20, "x"));
  await execa("mount", ["-t", "tmpfs", "-o", "size=1m", "none", to]);
  try {
    using copier = openCopier();
    await expect(copier.copy(from, to)).rejects.toMatchObject({
      code: "resource_exhausted",
      message: expect.stringContaining("No space left on device"),
      hint: expect.stringContaining("free disk space"),
    });
  } finally {
    await execa("umount", [to]);
  }
});
