"""Runs every test against each given memoryd, each test with a daemon and a cgroup of its own. What is adopted are
processes that behave as restored ones (restored.h). Ends with "N passed, N failed"."""
import importlib
import os
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from daemon import CannotRun, Daemon  # noqa: E402

MODULES = ["memory", "waits", "allocator", "programs", "daemon"]
TEST_SECONDS = 60


def on_alarm(_signo, _frame):
    raise AssertionError(f"took longer than {TEST_SECONDS} s")


def run_one(binary, test):
    daemon = Daemon(binary, getattr(test, "options", ()))
    signal.alarm(TEST_SECONDS)
    try:
        test(daemon)
    finally:
        signal.alarm(0)
        daemon.stop()


def succeeds(binary, test, label):
    """A whole run meets a stall of its machine now and then: with CI set, what fails is tried once more and named."""
    for last in ((False, True) if os.environ.get("CI") else (True,)):
        begin = time.monotonic()
        try:
            run_one(binary, test)
            print(f"ok    {label} ({time.monotonic() - begin:.2f} s)", flush=True)
            return True
        except CannotRun:
            raise
        except Exception:
            print(f"{'FAIL ' if last else 'again'} {label}\n{traceback.format_exc()}", flush=True)
            if last:
                return False


def tests_of(names):
    for module in MODULES:
        loaded = importlib.import_module("tests_" + module)
        for name, test in list(vars(loaded).items()):
            if name.startswith("test_") and (not names or any(n in name for n in names)):
                yield module, name[5:], test


def main():
    binaries = [a for a in sys.argv[1:] if "/" in a]
    names = [a for a in sys.argv[1:] if "/" not in a]
    passed = failed = skipped = 0
    signal.signal(signal.SIGALRM, on_alarm)
    for binary in binaries:
        for module, name, test in tests_of(names):
            label = f"{os.path.basename(binary)}: {module}: {name.replace('_', ' ')}"
            try:
                succeeded = succeeds(binary, test, label)
                passed, failed = passed + succeeded, failed + (not succeeded)
            except CannotRun as reason:
                skipped += 1
                print(f"skip  {label}: {reason}", flush=True)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
