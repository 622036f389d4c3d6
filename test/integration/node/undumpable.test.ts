/** What CRIU cannot dump: one clear error that says why, and the sandbox runs on as if nothing had been tried. */
import { expect, it } from "vitest";
import { openBox, soon } from "../../support/box.js";

const box = openBox("undumpable");

/** A child that its parent traces, which stands until it is told to go on. */
const traced = `
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
child = os.fork()
if child == 0:
    libc.ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
os.waitpid(child, os.WUNTRACED)
open('/tmp/traced', 'w').close()
sys.stdin.readline()
libc.ptrace(7, child, 0, 0)
os.waitpid(child, 0)
open('/tmp/free', 'w').close()
sys.stdin.readline()
`;

it("a traced process stands in the way until it is let go", async () => {
  const { id } = await box.create();
  const pid = await box.start(id, ["python3", "-c", traced], { stdin: true });
  await box.sh(id, "until [ -e /tmp/traced ]; do sleep 0.01; done");
  const before = await box.holdings();
  const start = performance.now();
  const operations = [
    () => box.node.checkpoints.create(id, {}, soon()),
    () => box.node.sandboxes.pause(id, soon()),
    () => box.fork(id),
  ];
  for (const operation of operations) {
    await expect(operation()).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringMatching(/process \d+ \(python3\) is traced by another one/),
    });
    expect((await box.node.sandboxes.get(id)).state.status).toBe("running");
    expect(await box.sh(id, "echo on")).toBe("on");
  }
  // CRIU itself would try for ten seconds, with the sandbox standing still.
  expect(performance.now() - start).toBeLessThan(5_000);
  await box.expectNoLeak(before);
  await box.node.processes.write(id, pid, Buffer.from("\n"), { eof: false }, soon());
  await box.sh(id, "until [ -e /tmp/free ]; do sleep 0.01; done");
  await box.node.sandboxes.pause(id, soon());
  await box.node.sandboxes.resume(id, soon());
  expect(await box.sh(id, "echo on")).toBe("on");
});
