"""Sizes and leaks."""
import os

from client import NO_ATTACH, GuestError, until


def rss_kib(g):
    with open(f"/proc/{g.init_pid()}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def fd_count(g): return len(os.listdir(f"/proc/{g.init_pid()}/fd"))


def one_round(g, i):
    s = g.run(f"echo {i}; exit 1", user="tester")
    assert s.out == b"%d\n" % i
    g.write(g.home + "/f", b"x" * 1000)
    assert g.read(g.home + "/f", user="tester") == b"x" * 1000
    for failing in (lambda: g.run(["none"]), lambda: g.dial(9), lambda: g.read("/none"),
                    lambda: g.wait(99999)):
        try:
            failing()
            raise AssertionError("went through")
        except GuestError:
            pass
    g.watch(g.home).close()
    with g.connect():
        pass
    s = g.spawn("exec sleep 100", flags=1 if i % 2 else 2)
    s.c.close()
    g.signal(s.pid, 9)
    g.wait(s.pid)


def test_a_thousand_operations_leak_nothing(g):
    one_round(g, 0)
    until(lambda: g.usage()["helpers"] == 0, "idle")
    before = fd_count(g)
    for i in range(90):
        one_round(g, i)
    until(lambda: g.usage()["helpers"] == 0 and g.usage()["connections"] == 1, "idle")
    until(lambda: fd_count(g) <= before + 1, "descriptors are back")
    assert g.usage()["processes"] == 1
    assert len(g.processes()) == 64
    if not g.sanitized:
        # 64 exited processes are kept, each with a page or two of output and tags.
        assert rss_kib(g) < 1024, rss_kib(g)


def test_small_when_idle(g):
    g.run("echo hello")
    g.run(["/bin/echo"] + ["x" * 100000] * 9)
    big = g.spawn("head -c 1000000 /dev/zero", ring=65536)
    big.run()
    sleepers = [g.spawn("echo up; exec sleep 100", flags=NO_ATTACH) for _ in range(20)]
    until(lambda: sum(p["end"] == 3 for p in g.processes()) == 20, "all have spoken")
    assert g.info()["running"] == len(sleepers)
    assert g.sanitized or rss_kib(g) < 1024, rss_kib(g)
    print(f"      resident: {rss_kib(g)} KiB with 20 processes")


def test_as_many_processes_as_descriptors_allow(g):
    refused = None
    count = 0
    while refused is None and count < 1100:
        try:
            g.run(["/bin/sleep", "100"], flags=NO_ATTACH)
            count += 1
        except GuestError as e:
            refused = e.code
    assert refused == "too_many" and count > 200, (refused, count)
    assert g.info()["running"] == count
    for p in g.processes():
        g.signal(p["pid"], 9)
    until(lambda: g.info()["running"] == 0, "all gone")
    assert g.run("echo again").out == b"again\n"
