"""Runs the test functions of modules against programs. Ends with "N passed, N failed"."""
import importlib
import os
import signal
import time
import traceback


class CannotRun(Exception):
    """A test needs what this machine lacks."""


class Runner:
    """`open_subject(binary, options)` gives what each test is called with, which has a `stop`."""
    def __init__(self, modules, open_subject, seconds):
        self.modules, self.open_subject, self.seconds = modules, open_subject, seconds

    def on_alarm(self, _signo, _frame):
        raise AssertionError(f"took longer than {self.seconds} s")

    def run_one(self, binary, test):
        subject = self.open_subject(binary, getattr(test, "options", ()))
        signal.alarm(self.seconds)
        try:
            test(subject)
        finally:
            signal.alarm(0)
            subject.stop()

    def succeeds(self, binary, test, label):
        """A whole run meets a stall of its machine now and then: with CI set, what fails is tried once more and named."""
        for last in ((False, True) if os.environ.get("CI") else (True,)):
            begin = time.monotonic()
            try:
                self.run_one(binary, test)
                print(f"ok    {label} ({time.monotonic() - begin:.2f} s)", flush=True)
                return True
            except CannotRun:
                raise
            except Exception:
                print(f"{'FAIL ' if last else 'again'} {label}\n{traceback.format_exc()}", flush=True)
        return False

    def tests_of(self, names):
        for module in self.modules:
            loaded = importlib.import_module("tests_" + module)
            for name, test in list(vars(loaded).items()):
                if name.startswith("test_") and (not names or any(n in name for n in names)):
                    yield module, name[5:], test

    def main(self, arguments):
        """Arguments with a slash are programs, others parts of the names of the tests to run. Gives the exit code."""
        binaries = [a for a in arguments if "/" in a]
        names = [a for a in arguments if "/" not in a]
        passed = failed = skipped = 0
        signal.signal(signal.SIGALRM, self.on_alarm)
        for binary in binaries:
            for module, name, test in self.tests_of(names):
                label = f"{os.path.basename(binary)}: {module}: {name.replace('_', ' ')}"
                try:
                    succeeded = self.succeeds(binary, test, label)
                    passed, failed = passed + succeeded, failed + (not succeeded)
                except CannotRun as reason:
                    skipped += 1
                    print(f"skip  {label}: {reason}", flush=True)
        print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
        return 1 if failed else 0
