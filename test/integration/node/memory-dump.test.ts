/** Programs that share memory are dumped at any moment: while they give it back, and with what they have started. */
import { describe, expect, it } from "vitest";
import { becomes, openBox, soon } from "../../support/box.js";

const box = openBox("memory-dump");

const fork = async (ref: string) => (await box.fork(ref))[0]?.id ?? "";
const touch = (ref: string, path: string) => box.sh(ref, `: > ${path}`);
const has = (ref: string, path: string) =>
  becomes(`${ref} has ${path}`, async () => (await box.sh(ref, `[ -e ${path} ] && echo yes`)) === "yes");

async function start(program: string, ...args: string[]): Promise<string> {
  const { id } = await box.create();
  await box.start(id, ["python3", "-c", program, ...args]);
  await has(id, "/tmp/ready");
  return id;
}

/** Once told to, gives all of its memory back, in as many calls as that can take. */
const giver = `
import ctypes, mmap, os, sys, threading, time
size, step, threads = 128 << 20, 256 << 10, int(sys.argv[1])
held = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE)
for at in range(0, size, 4096): held[at] = 1
start, madvise = ctypes.addressof(ctypes.c_char.from_buffer(held)), ctypes.CDLL(None).madvise
def give(first):
    for at in range(first * step, size, threads * step):
        madvise(ctypes.c_void_p(start + at), ctypes.c_size_t(step), mmap.MADV_DONTNEED)
open('/tmp/ready', 'w').close()
while not os.path.exists('/tmp/go'): time.sleep(0.001)
giving = [threading.Thread(target=give, args=(first,)) for first in range(threads)]
for thread in giving: thread.start()
for thread in giving: thread.join()
with open('/tmp/left', 'w') as file: file.write(str(sum(held[at] for at in range(0, size, 4096))))
os.rename('/tmp/left', '/tmp/done')
time.sleep(1000)
`;

it.each([1, 4])(
  "a program that gives it back from %d threads is forked in the middle of that",
  async (threads) => {
    const source = await start(giver, String(threads));
    for (let round = 0; round < 5; round++) {
      const clone = await fork(source);
      await touch(clone, "/tmp/go");
      const other = await fork(clone);
      for (const id of [clone, other]) {
        await has(id, "/tmp/done");
        expect(await box.sh(id, "cat /tmp/done")).toBe("0");
        await box.node.sandboxes.delete(id, { force: true }, soon());
      }
    }
  },
);

/** Drops memory of its own again and again, and says what it finds there then. */
const child = `
import mmap, os, time
held = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE)
while True:
    held[:] = b'x' * len(held)
    try:
        held.madvise(mmap.MADV_DONTNEED)
        found = 'zeros' if held[:].count(0) == len(held) else 'old'
    except OSError as error:
        found = error.strerror
    with open('/tmp/found.new', 'w') as file: file.write(found)
    os.rename('/tmp/found.new', '/tmp/found')
    time.sleep(0.01)
`;

/** Has shared memory, and once told to starts a program that has none. */
const parent = `
import mmap, os, subprocess, sys, time
held = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE)
held[:] = b'x' * len(held)
open('/tmp/ready', 'w').close()
while not os.path.exists('/tmp/go'): time.sleep(0.01)
subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True)
while not os.path.exists('/tmp/end'): time.sleep(0.01)
`;

describe("a program that one with shared memory has started drops its own as before", () => {
  async function startChild(): Promise<string> {
    const clone = await fork(await start(parent, child));
    await touch(clone, "/tmp/go");
    await expectZeros(clone);
    return clone;
  }

  async function expectZeros(ref: string): Promise<void> {
    await box.sh(ref, "rm -f /tmp/found");
    await has(ref, "/tmp/found");
    expect(await box.sh(ref, "cat /tmp/found")).toBe("zeros");
  }

  async function again(ref: string): Promise<void> {
    await box.node.sandboxes.pause(ref, soon());
    await box.node.sandboxes.resume(ref, soon());
    await expectZeros(ref);
  }

  it("after a pause", async () => {
    const clone = await startChild();
    await again(clone);
    await again(clone);
    await expectZeros(await fork(clone));
  });

  it("when the other has ended", async () => {
    const clone = await startChild();
    await touch(clone, "/tmp/end");
    await becomes("it has ended", async () => (await box.sh(clone, "pgrep -c python3")) === "1");
    await again(clone);
    const next = await fork(clone);
    await expectZeros(next);
    await again(next);
    await expectZeros(await fork(next));
  });
});
