"""A memoryd for a test, the cgroup that it adopts, and the processes in it."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build")
LISTENER = "anon_inode:seccomp notify"
DEADLINE = 20
PAGE = 4096


def until(condition, what, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not in {seconds} s: {what}")
        time.sleep(0.005)


def cgroup_root():
    for root in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        if os.path.exists(root + "/cgroup.procs"):
            return root
    raise AssertionError("no cgroup v2 is mounted")


def make_memory_file(path):
    with open(path, "wb") as f:
        f.truncate(192 * PAGE)
        for page in [*range(0, 64), *range(128, 192)]:
            f.seek(page * PAGE)
            f.write(bytes([page % 250 + 1]) * PAGE)


def listeners_of(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        folder = f"/proc/{pid}/task/{task}/fd"
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            try:
                if os.readlink(f"{folder}/{name}") == LISTENER:
                    found.append((task, name))
            except OSError:
                pass
    return found


def state_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


class Program:
    """One of the test programs, in the daemon's cgroup."""
    def __init__(self, daemon, *arguments, environment=None, inside=()):
        def enter():
            with open(daemon.procs, "w") as f:
                f.write(str(os.getpid()))
        command = [*inside, os.path.join(BUILD, arguments[0]), *arguments[1:]]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=enter,
                                        env=environment)
        self.pid = self.process.pid

    def line(self):
        return self.process.stdout.readline().decode().strip()

    def expect(self, wanted):
        lines = [self.line()]
        if lines[0] != wanted:
            lines += self.process.stdout.read().decode().splitlines() if not lines[0] or "FAILED" in lines[0] else []
            raise AssertionError(f"said {lines} and not {wanted}, exit code {self.process.poll()}")

    def go(self, line=b"go\n"):
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def sleeping(self):
        until(lambda: state_of(self.pid) == "S", "the process waits")

    def ended(self):
        code = self.process.wait(DEADLINE)
        assert code == 0, f"exit code {code}"

    def close(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


class Daemon:
    def __init__(self, binary, options=()):
        self.dir = tempfile.mkdtemp(prefix="memoryd-test-")
        self.prefix = os.path.join(self.dir, "memory") + "/"
        os.mkdir(self.prefix)
        self.memory, self.other = self.prefix + "1", os.path.join(self.dir, "other")
        make_memory_file(self.memory)
        with open(self.other, "wb") as f:
            f.write(b"\x77" * 32 * PAGE)
        self.cgroup = os.path.join(cgroup_root(), os.path.basename(self.dir))
        os.mkdir(self.cgroup)
        self.procs = self.cgroup + "/cgroup.procs"
        self.socket = os.path.join(self.dir, "socket")
        self.log = open(os.path.join(self.dir, "log"), "w+b")
        self.may_say, self.programs = [], []
        self.binary, self.options = binary, options
        self.start()

    def start(self):
        command = [os.path.abspath(self.binary), "--prefix", self.prefix, *self.options, self.socket]
        self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.daemon.pid
        self.servers = set()
        until(self.answers, "memoryd answers")

    def answers(self):
        if self.daemon.poll() is not None:
            raise AssertionError("memoryd did not start: " + self.read_log())
        try:
            return self.ask("version")
        except OSError:
            return None

    def read_log(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(DEADLINE)
        connection.connect(self.socket)
        return connection

    def ask(self, line):
        with self.connect() as connection:
            connection.sendall(line.encode() + b"\n")
            return connection.makefile().readline().strip()

    def adopt(self):
        answer = self.ask("adopt " + self.procs)
        self.servers.update(children_of(self.pid))
        return answer

    def program(self, *arguments, **options):
        self.programs.append(Program(self, *arguments, **options))
        return self.programs[-1]

    def members(self):
        with open(self.procs) as f:
            return [int(p) for p in f.read().split()]

    def assert_no_listeners(self):
        for pid in self.members():
            try:
                assert not listeners_of(pid), f"{pid} still has {listeners_of(pid)}"
            except FileNotFoundError:
                pass

    def empty_cgroup(self):
        for pid in self.members():
            os.kill(pid, signal.SIGKILL)
        return not self.members()

    def stop(self):
        for program in self.programs:
            program.close()
        until(self.empty_cgroup, "the cgroup is empty")
        os.rmdir(self.cgroup)
        self.end_daemon()
        log = self.read_log()
        self.log.close()
        shutil.rmtree(self.dir)
        said = [s for s in log.splitlines() if not any(m in s for m in self.may_say)]
        assert not said, f"memoryd said: {said}"

    def end_daemon(self):
        if self.daemon.poll() is not None:
            assert self.daemon.returncode == 0 and not os.path.exists(self.socket)
            return
        try:
            until(lambda: self.ask("status") == "status 0", "nothing is served any more")
            assert not children_of(self.pid), "a process is left"
            fds = os.listdir(f"/proc/{self.pid}/fd")
            assert len(fds) <= 5, f"descriptors are left: {fds}"
        finally:
            self.daemon.terminate()
            code = self.daemon.wait(DEADLINE)
        assert code == 0, f"memoryd ended with {code}"
        assert not os.path.exists(self.socket)
