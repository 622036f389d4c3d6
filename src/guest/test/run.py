"""Runs every test against each given guest binary, each test with a guest of its own as PID 1 of a new
pid, mount, uts and network namespace. Ends with "N passed, N failed"."""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../../test/support")]
import client  # noqa: E402
from run_tests import Runner  # noqa: E402

MODULES = ["protocol", "process", "output", "files", "watch", "dial", "dump", "limits"]
# /etc is a copy, so that identity has something to write to; /dev/pts is new, for its ownership.
SETUP = """
mount -t proc proc /proc && mount --bind "$1/etc" /etc && ip link set lo up && shift || exit 99
exec "$@"
"""
TESTER = 1234
TEST_SECONDS = 120


class Guest(client.Client):
    def __init__(self, binary, options=()):
        self.dir = tempfile.mkdtemp(prefix="guest-test-")
        os.chmod(self.dir, 0o755)
        super().__init__(os.path.join(self.dir, "guest.sock"))
        self.binary, self.sanitized = binary, "sanitized" in binary
        self.make_etc()
        self.log = open(os.path.join(self.dir, "log"), "w+b")
        command = ["unshare", "--pid", "--mount", "--uts", "--net", "--fork", "--kill-child", "sh", "-c",
                   SETUP, "sh", self.dir, os.path.abspath(binary), "--socket", self.path, *options]
        env = {"PATH": os.environ["PATH"], "FROM_START": "yes", "ASAN_OPTIONS": "detect_leaks=1"}
        self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=env)
        client.until(self.answers, "the guest answers")

    def make_etc(self):
        etc = os.path.join(self.dir, "etc")
        home = self.home = os.path.join(self.dir, "home")
        os.mkdir(etc)
        os.mkdir(home)
        os.chown(home, TESTER, TESTER)
        for name, content in (
                ("passwd", f"root:x:0:0:root:/root:/bin/sh\ntester:x:{TESTER}:{TESTER}::{home}:/bin/sh\n"),
                ("group", f"root:x:0:\ntester:x:{TESTER}:\nfirst:x:2001:tester\nother:x:2002:root,tester\n"),
                ("hosts", "127.0.0.1\tlocalhost\n127.0.1.1 old\n"), ("hostname", "old\n")):
            with open(os.path.join(etc, name), "w") as f:
                f.write(content)
        if os.path.exists("/etc/ld.so.cache"):
            shutil.copy("/etc/ld.so.cache", etc)

    def answers(self):
        if self.daemon.poll() is not None:
            raise AssertionError("the guest did not start: " + self.read_log())
        try:
            return self.info()
        except OSError:
            return None

    def read_log(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def init_pid(self):
        """The guest's pid outside."""
        children = f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children"
        with open(children) as f:
            return int(f.read().split()[0])

    def ask_to_end(self):
        try:
            self.call("SHUTDOWN", client.u32(300))
            return True
        except client.GuestError:
            return False
        except OSError:
            return self.daemon.poll() is not None

    def stop(self):
        if self.daemon.poll() is None:
            client.until(self.ask_to_end, "the guest takes a shutdown")
        try:
            self.daemon.wait(8)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            raise AssertionError("the guest did not end") from None
        finally:
            log = self.read_log()
            self.log.close()
            shutil.rmtree(self.dir, ignore_errors=True)
        assert not log, f"the guest said: {log}"
        assert self.daemon.returncode == 0, f"exit code {self.daemon.returncode}"


if __name__ == "__main__":
    sys.exit(Runner(MODULES, Guest, TEST_SECONDS).main(sys.argv[1:]))
