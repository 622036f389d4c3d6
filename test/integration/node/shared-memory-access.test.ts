/** Memory that sandboxes share is out of their reach, is guarded against damage, and can be turned off. */
import { closeSync, fstatSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openBox, soon } from "../../support/box.js";
import { memoryOfCheckpoint, memoryOfSandbox, modelOf, openHolder } from "./holder.js";

const box = openBox("memory-access");
const holder = openHolder(box);

const restore = (checkpoint: string) =>
  box.node.sandboxes.create({ source: { kind: "checkpoint", checkpoint }, labels: {}, env: {} }, soon());

async function startHolding(): Promise<string> {
  const { id } = await box.create();
  await holder.start(id);
  return id;
}

async function forkOne(ref: string): Promise<string> {
  const [clone] = await box.fork(ref);
  return clone?.id ?? "";
}

/** What the sandbox's root tries with shared memory. */
const attempts = [
  "echo x >> $file",
  "printf x | dd of=$file bs=1 seek=4096 conv=notrunc",
  `python3 -c 'import mmap, sys; mmap.mmap(open(sys.argv[1], "r+b").fileno(), 0)' $file`,
  "truncate -s 0 $file",
  "fallocate -p -o 0 -l 4096 $file",
  "chmod 777 $file",
  "chown 0:0 $file",
  "touch -d 2000-01-01 $file",
  `python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.x", b"x")' $file`,
  "mv $file $file.away",
  "echo x > /tmp/x; mv -f /tmp/x $file",
  "rm -f $file",
  "ln $file /.ramet/link",
  "echo x > $memory/other",
  "chmod 777 $memory",
  "chown 0:0 $memory",
  "mv $memory /.ramet/away",
  "rm -rf $memory",
  `python3 -c 'import ctypes, os, sys; libc = ctypes.CDLL(None, use_errno=True)
libc.mount(b"none", sys.argv[1].encode(), b"tmpfs", 0, None) and sys.exit(os.strerror(ctypes.get_errno()))' $memory`,
  "maps=/proc/$(pgrep -xo python3)/map_files; ls $maps && echo x > $maps/$(ls $maps | head -n 1)",
];

const guestAttempts = [
  "echo x > /.ramet/guest",
  "chmod 777 /.ramet/guest",
  "mv /.ramet/guest /.ramet/away",
  "cp /bin/true /.ramet/new; mv -f /.ramet/new /.ramet/guest",
  "rm -f /.ramet/guest",
];

async function expectDenied(ref: string, script: string, user = "root"): Promise<void> {
  const { status, stderr } = await box.run(ref, ["bash", "-c", script], { user });
  expect(status, script).not.toEqual({ kind: "code", code: 0 });
  expect(stderr, script).toMatch(/denied|not permitted|Text file busy/);
}

describe("inside a sandbox", () => {
  it("root changes nothing about memory that is shared", async () => {
    const clone = await forkOne(await startHolding());
    const [before] = memoryOfSandbox(box, clone);
    const names = `memory=/.ramet/memory; file=$memory/${before?.name}`;
    expect(await box.sh(clone, `${names}; cat $file | wc -c`)).toBe(String(before?.bytes));
    for (const attempt of attempts) {
      await expectDenied(clone, `${names}; ${attempt}`);
      expect(memoryOfSandbox(box, clone)[0], attempt).toEqual(before);
    }
    await holder.expectExact(clone, modelOf());
    await holder.expectExact(await forkOne(clone), modelOf());
  });

  it("a user reads neither memory that is shared nor its names", async () => {
    const clone = await forkOne(await startHolding());
    const [file] = memoryOfSandbox(box, clone);
    await expectDenied(clone, "ls /.ramet/memory", "user");
    await expectDenied(clone, `cat /.ramet/memory/${file?.name}`, "user");
  });

  it("root does not replace the guest's binary", async () => {
    const { id } = await box.create();
    for (const attempt of guestAttempts) await expectDenied(id, attempt);
    expect(await box.sh(await forkOne(id), "echo on")).toBe("on");
  });
});

describe("a checkpoint with memory that is shared", () => {
  it.each([
    ["a byte of it is flipped", flip, /memory\/\S+ has changed/],
    ["it is missing", (path: string) => renameSync(path, `${path}.away`), /memory\/\S+ is missing/],
  ])("is refused when %s, and restored once that is mended", async (_name, harm, message) => {
    const id = await startHolding();
    const checkpoint = await box.node.checkpoints.create(id, {}, soon());
    const [file] = memoryOfCheckpoint(box, checkpoint.id);
    const path = file?.path ?? "";
    const before = await box.holdings();
    harm(path);
    expect(await box.node.checkpoints.verify(checkpoint.id, soon())).toEqual([
      expect.stringMatching(message),
    ]);
    await expect(restore(checkpoint.id)).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringMatching(message),
    });
    await box.expectNoLeak(before);
    if (harm === flip) flip(path);
    else renameSync(`${path}.away`, path);
    expect(await box.node.checkpoints.verify(checkpoint.id, soon())).toEqual([]);
    await holder.expectExact((await restore(checkpoint.id)).id, modelOf());
  });

  it("is found damaged also when it has the memory from an earlier one", async () => {
    const first = await box.node.checkpoints.create(await startHolding(), {}, soon());
    const second = await box.node.checkpoints.create((await restore(first.id)).id, {}, soon());
    const [file] = memoryOfCheckpoint(box, first.id);
    flip(file?.path ?? "");
    for (const { id } of [first, second]) {
      expect(await box.node.checkpoints.verify(id, soon())).toEqual([
        expect.stringMatching(/memory\/\S+ has changed/),
      ]);
      await expect(restore(id)).rejects.toMatchObject({ code: "failed_precondition" });
    }
  });
});

describe("where memory is not shared", () => {
  it("a checkpoint that shares it is refused, and says why, until it is", async () => {
    const id = await startHolding();
    const checkpoint = await box.node.checkpoints.create(id, {}, soon());
    await box.test.restart(undefined, undefined, "off");
    const before = await box.holdings();
    await expect(restore(checkpoint.id)).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringMatching(/shares its memory with others.*memory\.sharing/),
    });
    await box.expectNoLeak(before);
    await box.test.restart();
    await holder.expectExact((await restore(checkpoint.id)).id, modelOf());
  });

  it("clones that share it go on, and are neither forked nor resumed until it is", async () => {
    const [clone, paused] = (await box.fork(await startHolding(), { count: 2 })).map(({ id }) => id);
    if (clone === undefined || paused === undefined) throw new Error("there are no clones");
    await box.node.sandboxes.pause(paused, soon());
    await box.test.restart(undefined, undefined, "off");
    const model = modelOf();
    await holder.drop(clone, model, 4096, 4096);
    const before = await box.holdings();
    const refusal = {
      code: "failed_precondition",
      message: expect.stringMatching(/shares its memory with others.*memory\.sharing/),
    };
    await expect(box.fork(clone)).rejects.toMatchObject(refusal);
    await expect(box.node.sandboxes.resume(paused, soon())).rejects.toMatchObject(refusal);
    await box.expectNoLeak(before);
    expect((await box.node.sandboxes.get(paused)).state.status).toBe("paused");
    await holder.drop(clone, model, 1 << 20, 1 << 20);
    await box.test.restart();
    await box.node.sandboxes.resume(paused, soon());
    await holder.expectExact(paused, modelOf());
    await holder.expectExact(await forkOne(clone), model);
  });

  it("what clones that share it are checkpointed and paused to is exact once it is", async () => {
    const [clone, paused] = (await box.fork(await startHolding(), { count: 2 })).map(({ id }) => id);
    if (clone === undefined || paused === undefined) throw new Error("there are no clones");
    await box.test.restart(undefined, undefined, "off");
    const [model, other] = [modelOf(), modelOf()];
    await holder.put(clone, model, "clone", 0, 12 << 20);
    await holder.drop(clone, model, 16 << 20, 4096);
    await holder.put(paused, other, "paused", 4096, 12 << 20);
    const checkpoint = await box.node.checkpoints.create(clone, {}, soon());
    expect(await box.node.checkpoints.verify(checkpoint.id, soon())).toEqual([]);
    const then = model.copy();
    await box.node.sandboxes.pause(paused, soon());
    // What was dumped is guarded still, and answered.
    await holder.drop(clone, model, 1 << 20, 2 << 20);
    await holder.drop(clone, model, 20 << 20, 4096);
    await box.test.restart();
    await box.node.sandboxes.resume(paused, soon());
    await holder.drop(paused, other, 0, 1 << 20);
    await holder.expectExact(await forkOne(paused), other);
    const restored = (await restore(checkpoint.id)).id;
    await holder.expectExact(restored, then);
    await holder.drop(restored, then, 22 << 20, 1 << 20);
    await holder.expectExact(await forkOne(clone), model);
  });

  it("checkpoints have all of their memory in their images", async () => {
    await box.test.restart(undefined, undefined, "off");
    const id = await startHolding();
    const clone = await forkOne(id);
    const model = modelOf();
    expect(memoryOfSandbox(box, clone)).toEqual([]);
    await holder.put(clone, model, "clone", 0, 4096);
    await holder.drop(clone, model, 4096, 4096);
    const checkpoint = await box.node.checkpoints.create(clone, {}, soon());
    expect(checkpoint.inheritedBytes).toBe(0);
    await holder.expectExact((await restore(checkpoint.id)).id, model);
    await box.test.restart();
    await holder.expectExact((await restore(checkpoint.id)).id, model);
    await holder.expectExact(await forkOne(clone), model);
  });
});

/** In place: whoever maps the file goes on. */
function flip(path: string): void {
  const file = openSync(path, "r+");
  const middle = fstatSync(file).size >> 1;
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, middle);
  writeSync(file, Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, middle);
  closeSync(file);
}
