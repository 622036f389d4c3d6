/** The disk fills up in the middle of a dump: one clear error, nothing left, the sandbox runs on. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openBox, soon } from "../../support/box.js";

const box = openBox("disk");

let id: string;
const disk = () => join(box.test.dataDir, "small.ext4");
const mountPoint = () => join(box.test.dataDir, "checkpoints");

/** Holds 100 MiB that do not compress to nothing, and answers with their checksum. */
const program = `
import hashlib, os, time
data = os.urandom(100 << 20)
while True:
    open('/tmp/sum', 'w').write(hashlib.md5(data).hexdigest())
    time.sleep(0.05)
    open('/tmp/beat', 'w').write(str(time.monotonic()))
`;

beforeEach(async () => {
  ({ id } = await box.create());
  await box.start(id, ["python3", "-c", program]);
  await expect.poll(() => box.sh(id, "cat /tmp/sum"), { timeout: 20_000 }).toMatch(/^[0-9a-f]{32}$/);
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
  const sum = await box.sh(id, "cat /tmp/sum");
  const before = await box.holdings();
  await expect(operation()).rejects.toMatchObject({
    code: "resource_exhausted",
    message: expect.stringContaining("disk is full"),
  });
  expect((await box.node.sandboxes.get(id)).state.status).toBe("running");
  const beat = await box.sh(id, "cat /tmp/beat");
  await expect.poll(() => box.sh(id, "cat /tmp/beat"), { timeout: 10_000 }).not.toBe(beat);
  expect(await box.sh(id, "cat /tmp/sum")).toBe(sum);
  await box.expectNoLeak(before);

  await execa("umount", [mountPoint()]);
  await operation();
});
