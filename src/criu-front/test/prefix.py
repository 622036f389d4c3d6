"""A prefix with a front, and a program in CRIU's place that writes down how it was called and answers as CRIU does."""
import os
import shutil
import socket
import subprocess
import tempfile

QUESTION = bytes([0x08, 10])
RESTORE = bytes([0x08, 2, 0x12, 2, 0x08, 7])
# Type VERSION, success, and a version of 4.2.1 (criu_version in CRIU's rpc.proto).
REPLY = bytes.fromhex("080a1001520608041002" "2001")

STAND_IN = """#!/usr/bin/env python3
import os, socket, sys
here = os.path.dirname(os.path.abspath(__file__))
open(here + "/calls", "a").write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1:2] == ["swrk"]:
    with socket.socket(fileno=int(sys.argv[2])) as s:
        request = s.recv(4096)
        s.send(bytes.fromhex("%s") if request == bytes([8, 10]) else b"got " + request)
sys.exit(5 if sys.argv[1:2] == ["check"] else 0)
"""


class Prefix:
    def __init__(self, front, _options):
        self.directory = tempfile.mkdtemp(prefix="criu-front-")
        for name in ("front", "bin"):
            os.mkdir(f"{self.directory}/{name}")
        self.front = shutil.copy(front, f"{self.directory}/front/criu")
        self.criu = f"{self.directory}/bin/criu"
        self.version = f"{self.directory}/front/version"
        self.install(REPLY)

    def install(self, reply):
        with open(self.criu + ".new", "w") as f:
            f.write(STAND_IN % reply.hex())
        os.chmod(self.criu + ".new", 0o755)
        os.rename(self.criu + ".new", self.criu)

    def record(self):
        done = subprocess.run([self.front, "--record"], capture_output=True, timeout=10)
        if done.returncode == 0:
            with open(self.version, "wb") as f:
                f.write(done.stdout)
            self.forget_calls()
        return done

    def forget_calls(self):
        if os.path.exists(f"{self.directory}/bin/calls"):
            os.unlink(f"{self.directory}/bin/calls")

    def calls(self):
        try:
            with open(f"{self.directory}/bin/calls") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def ask(self, request):
        """One request, as runc and its CRIU library send it; gives the reply and the exit code."""
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with its:
                child = subprocess.Popen([self.front, "swrk", str(its.fileno())], pass_fds=[its.fileno()])
            ours.settimeout(10)
            if request is None:
                ours.shutdown(socket.SHUT_WR)
            else:
                ours.send(request)
            reply = ours.recv(4096)
        return reply, child.wait(timeout=10)

    def stop(self):
        shutil.rmtree(self.directory)
