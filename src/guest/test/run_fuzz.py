"""Runs the fuzzer for some seconds from seeds that are well-formed; a finding is a failed test."""
import os
import re
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from client import OPS, i32, strings, target, text, u8, u16, u32, u64  # noqa: E402

FILE = text("tester") + text("/home/f")
REQUESTS = {
    "INFO": b"", "LIST": b"", "USAGE": b"", "RELEASE": b"",
    "SPAWN": u32(3) + u16(24) + u16(80) + u32(4096) + text("u") + text("/") + text("tag")
    + strings(["sh", "-c", "x"]) + strings(["A=1", "B=2"]),
    "ATTACH": target(5) + u32(1) + u8(2) + u64(77), "STDIN": target("t") + u8(1) + text("data"),
    "SIGNAL": target(1) + i32(9) + u8(1), "RESIZE": target(1) + u16(1) + u16(1), "WAIT": target(1),
    "DIAL": u8(0) + u16(80) + text("::1") + u32(0), "QUIESCE": u32(1), "USER": text("root"), "ENVIRONMENT": text("root"),
    "IDENTITY": text("h") + text("0" * 32) + u64(1) + u8(1) + strings(["A=b"]),
    "STAT": FILE + u32(1), "LIST_DIR": FILE + u32(2) + u32(3), "READ": FILE + u64(0) + u64(9), "READ_RAW": FILE + u64(0) + u64(9),
    "WRITE": FILE + u32(3) + u32(0o644) + u64(0), "RENAME": FILE + text("/to") + u32(1),
    "XATTR_SET": FILE + text("user.a") + text("v") + u32(0), "CHOWN": FILE + u32(0) + u32(0) + u32(0),
}
USERS = b"tester:first\nroot:x:0:0:root:/root:/bin/sh\ntester:x:1234:1234::/h:/bin/sh\nfirst:x:9:tester,root\n"


def write_seeds(folder):
    seeds = [b"\2" + USERS, b"\3" + bytes(range(60)), b"\3" + b"\x21\xff\x01\x32\xff\x02" * 40]
    for name, fields in REQUESTS.items():
        payload = u16(1) + u16(OPS[name]) + fields
        frames = struct.pack("<IBBH", len(payload), 1, 0, 0) + payload + struct.pack("<IBBH", 2, 2, 0, 0) + b"hi"
        seeds += [b"\1" + payload, b"\0" + frames]
    for i, seed in enumerate(seeds):
        with open(os.path.join(folder, f"seed-{i}"), "wb") as f:
            f.write(seed)


def main():
    fuzzer, seconds = sys.argv[1], sys.argv[2]
    with tempfile.TemporaryDirectory(prefix="guest-fuzz-") as folder:
        corpus = os.path.join(folder, "corpus")
        os.mkdir(corpus)
        write_seeds(corpus)
        done = subprocess.run([fuzzer, f"-max_total_time={seconds}", "-max_len=8192", "-timeout=10",
                               "-print_final_stats=1", f"-artifact_prefix={folder}/", corpus],
                              capture_output=True, text=True, errors="replace", timeout=int(seconds) + 120)
    runs = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    if done.returncode == 0 and runs:
        print(f"ok    fuzz: {runs[1]} inputs in {seconds} s\n1 passed, 0 failed")
        return 0
    print(f"FAIL  fuzz\n{done.stderr[-8000:]}\n0 passed, 1 failed")
    return 1


if __name__ == "__main__":
    sys.exit(main())
