"""Real programs whose memory is put into a file and mapped from it while they run, as a restore would have it."""
import os
import shutil
import signal

from daemon import BUILD
from run_tests import CannotRun

NODE = """
const keep = [];
for (let i = 0; i < 20000; i++) keep.push({ i, text: "number " + i, bytes: Buffer.alloc(i % 700, i % 251) });
const check = () => {
  for (const [i, k] of keep.entries())
    if (k.i !== i || k.text !== "number " + i || !k.bytes.every((b) => b === i % 251)) throw new Error("item " + i);
};
const churn = () => {
  let waste = [];
  for (let i = 0; i < 40000; i++) waste.push({ i, s: "waste " + i, a: [i, i + 1] });
  for (let i = 0; i < 60; i++) {
    const fresh = i % 2 ? new Uint8Array(1 << (10 + (i % 11))) : Buffer.alloc(100000 + i * 3000);
    if (!fresh.every((b) => b === 0)) throw new Error("not zeros");
    fresh.fill(i + 1);
    waste.push(fresh);
  }
  waste = null;
  globalThis.gc();
};
churn();
console.log("started");
process.stdin.once("data", () => {
  for (let round = 0; round < 12; round++) churn();
  check();
  console.log("ok");
  process.exit(0);
});
"""

PYTHON = """
import gc, sys
keep = [(i, "number %d" % i, bytes([i % 251]) * (i % 700)) for i in range(20000)]
def churn():
    waste = [[i, "waste %d" % i, {i: i}] for i in range(40000)]
    for i in range(60):
        fresh = bytearray(1 << (10 + i % 12))
        assert not any(fresh), "not zeros"
        fresh[:] = bytes([i + 1]) * len(fresh)
        waste.append(fresh)
    del waste
    gc.collect()
churn()
print("started", flush=True)
sys.stdin.readline()
for _ in range(12): churn()
assert all(k == (i, "number %d" % i, bytes([i % 251]) * (i % 700)) for i, k in enumerate(keep))
print("ok", flush=True)
"""


def put_and_go_on(daemon, *command, **environment):
    if shutil.which(command[0]) is None:
        raise CannotRun(f"there is no {command[0]}")
    environment = {**os.environ, "RAMET_MEMORY_FILE": daemon.prefix + "3", **environment}
    preload = os.path.join(BUILD, "preload.so")
    program = daemon.program("launch", "env", "LD_PRELOAD=" + preload, *command, environment=environment)
    program.expect("ready")
    assert daemon.adopt() == "adopted 1"
    program.go()
    program.expect("started")
    os.kill(program.pid, signal.SIGUSR2)
    said = program.line()
    assert said.startswith("put "), said
    program.go()
    program.expect("ok")
    program.ended()


def test_node_goes_on(daemon):
    put_and_go_on(daemon, "node", "--expose-gc", "-e", NODE)


def test_python_goes_on(daemon):
    put_and_go_on(daemon, "python3", "-c", PYTHON)


def test_python_with_plain_malloc_goes_on(daemon):
    put_and_go_on(daemon, "python3", "-c", PYTHON, PYTHONMALLOC="malloc")
