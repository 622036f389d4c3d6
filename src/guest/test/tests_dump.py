"""Quiesce, hold and release; identity; shutdown."""
import os
import signal
import threading
import time

from client import (KILL_ON_CLOSE, NO_ATTACH, PTY, WANT_STDIN, GuestError, strings, text, u32, until)
from tests_dial import serve
from tests_files import ATOMIC


def descriptors(g):
    d = f"/proc/{g.init_pid()}/fd"
    found = []
    for fd in os.listdir(d):
        try:
            found.append(os.readlink(f"{d}/{fd}"))
        except FileNotFoundError:
            pass
    return found


def test_nothing_stays_open(g):
    serve_stream = serve(g, "4", 8080)
    p = g.spawn("exec sleep 100", flags=WANT_STDIN)
    t = g.spawn("exec sleep 100", flags=PTY)
    dialled = g.dial(8080)
    write = g.open_write(g.home + "/f")
    write.expect(0x81)
    watch = g.watch(g.home)
    waiting = g.connect()
    waiting.request(8, p.pid.to_bytes(4, "little") + text(""))
    waiting.expect(0x81)
    answer = g.quiesce()
    assert answer == (3, 3), answer
    fds = descriptors(g)
    assert len([f for f in fds if f.startswith("socket:")]) == 1, fds
    # Own signal pipe 2, server 2, p 3, one terminal; 0 to 2.
    assert len([f for f in fds if f.startswith("pipe:")]) == 2 + 2 + 3, fds
    assert len([f for f in fds if "ptmx" in f or "pts" in f]) == 1, fds
    assert len(fds) == 3 + 1 + 7 + 1, fds
    usage = g.usage()
    assert (usage["connections"], usage["helpers"], usage["processes"]) == (1, 0, 4)
    for c in (serve_stream.c, p.c, t.c, watch, write, waiting):
        frame = c.frame()
        assert frame[0] is None, frame
    assert dialled.sock.recv(1) == b""
    assert [x["flags"] & 16 for x in g.processes()] == [16] * 3
    g.release()
    assert [x["flags"] & 16 for x in g.processes()] == [0] * 3 and g.info()["held"] == 0


def test_a_write_that_is_cut_leaves_nothing(g):
    whole = g.home + "/f"
    g.write(whole, b"before", flags=ATOMIC)
    for path in (whole, g.home + "/new"):
        write = g.open_write(path, flags=ATOMIC)
        write.expect(0x81)
        g.quiesce()
        assert write.frame()[0] is None
        assert os.listdir(g.home) == ["f"]
        g.release()
    assert open(whole).read() == "before"


def test_a_stopped_write_does_not_keep_a_quiesce_waiting(g):
    write = g.open_write(g.home + "/f", flags=ATOMIC)
    write.expect(0x81)
    os.kill(helper_of(g), signal.SIGSTOP)
    assert g.quiesce() == (0, 0)


def helper_of(g):
    """The process of the only file operation."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = open(f"/proc/{pid}/stat").read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        name, rest = stat.rsplit(")", 1)
        if name.endswith("(ramet-file") and int(rest.split()[1]) == g.init_pid():
            return int(pid)
    raise AssertionError("there is no file operation")


def drain(s):
    s.run()
    assert s.exit is None
    s.c.close()
    return s


def test_no_output_is_lost(g):
    n = 700000
    s = g.spawn(f"seq 1 {n}; exit 3", ring=4096)
    parts = []
    rounds = 0
    while True:
        s.until(lambda s: len(s.out) > 3000 or s.exit) if rounds < 8 else s.run()
        if s.exit:
            parts.append(s.out)
            break
        g.quiesce(60000)
        drain(s)
        end = g.process(s.pid)["end"]
        time.sleep(0.02)
        assert g.process(s.pid)["end"] == end, "held output grew"
        parts.append(s.out)
        rounds += 1
        again = g.attach(s.pid, start=2, seq=s.next)
        assert again.dropped == 0 and again.seq == s.next
        g.release()
        s = again
    assert b"".join(parts) == b"".join(b"%d\n" % i for i in range(1, n + 1))
    assert rounds == 8 and s.exit.status == 3


def test_the_hold_ends_by_itself(g):
    s = g.spawn("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", ring=4096)
    s.until(lambda s: len(s.out) > 10000)
    g.quiesce(400)
    drain(s)
    end = g.process(s.pid)["end"]
    until(lambda: g.process(s.pid)["end"] > end + 10000, "it flows again")
    g.signal(s.pid, signal.SIGKILL)


def test_time_spent_frozen_does_not_count(g):
    s = g.spawn("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", ring=4096)
    s.until(lambda s: len(s.out) > 10000)
    g.quiesce(600)
    drain(s)
    pid = g.init_pid()
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.8)
    os.kill(pid, signal.SIGCONT)
    assert g.info()["held"] == 1
    until(lambda: g.info()["held"] == 0, "the hold ends")
    g.signal(s.pid, signal.SIGKILL)


def test_an_exit_during_the_hold_waits(g):
    s = g.spawn("echo a; read x; echo b; exit 5", flags=WANT_STDIN)
    s.until(lambda s: s.out == b"a\n")
    g.quiesce(60000)
    drain(s)
    g.write_stdin(s.pid, b"\n")
    assert g.wait(s.pid).status == 5
    again = g.attach(s.pid, start=2, seq=s.next)
    g.release()
    again.run()
    assert again.out == b"b\n" and again.exit.status == 5


def test_the_hold_lasts_until_all_readers_are_back(g):
    first = g.spawn("read x; seq 1 100000", ring=4096, flags=WANT_STDIN)
    second = g.attach(first.pid, start=1)
    g.write_stdin(first.pid, b"\n")
    for s in (first, second):
        s.until(lambda s: len(s.out) > 10000)
    g.quiesce(60000)
    parts = [drain(first).out, drain(second).out]
    back = g.attach(first.pid, start=2, seq=first.next)
    end = g.process(first.pid)["end"]
    time.sleep(0.02)
    assert g.process(first.pid)["end"] == end, "one reader alone ended the hold"
    other = g.attach(first.pid, start=2, seq=second.next)
    assert (back.dropped, other.dropped) == (0, 0)
    g.release()
    readers = [threading.Thread(target=s.run) for s in (back, other)]
    for t in readers:
        t.start()
    for t in readers:
        t.join()
    whole = b"".join(b"%d\n" % i for i in range(1, 100001))
    assert parts[0] + back.out == whole and parts[1] + other.out == whole


def test_a_spawn_under_way_is_held_too(g):
    for _ in range(30):
        with g.connect() as c:
            c.request(2, u32(0) * 3 + text("") * 2 + text("new") + strings(["/bin/sh", "-c", "seq 1 2000; sleep 9"])
                      + strings([]))
            g.quiesce(60000)
        found = [p for p in g.processes() if p["tag"] == "new" and p["state"] == 1]
        if found:
            assert found[0]["flags"] & 16, found
            s = g.attach("new")
            g.release()
            s.until(lambda s: len(s.out) == 8893)
            g.signal("new", 9, group=1)
            s.run()


def test_unfollowed_processes_are_not_held(g):
    s = g.spawn("while :; do echo y; done", flags=NO_ATTACH)
    assert g.quiesce() == (1, 0)
    end = g.process(s.pid)["end"]
    until(lambda: g.process(s.pid)["end"] > end, "it goes on")
    g.signal(s.pid, 9)


def test_quiesce_disarms_kill_on_close(g):
    s = g.spawn("sleep 100", flags=KILL_ON_CLOSE)
    g.quiesce()
    drain(s)
    assert g.process(s.pid)["state"] == 1
    again = g.attach(s.pid, flags=2)
    again.c.close()
    assert g.wait(s.pid).status == 9


def test_quiesce_under_load(g):
    stop = threading.Event()

    def load(call):
        while not stop.is_set():
            try:
                call()
            except (OSError, GuestError, AssertionError):
                pass

    calls = [lambda: g.run("echo hi"), lambda: g.stat("/"), lambda: g.list_dir("/usr", depth=2),
             lambda: g.write(g.home + "/f", b"x" * 100000, flags=19)]
    threads = [threading.Thread(target=load, args=(c,)) for c in calls]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            g.quiesce(1000)
            g.release()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    until(lambda: g.usage()["helpers"] == 0, "all helpers end")
    assert not [f for f in os.listdir(g.home) if f != "f" and not f.startswith(".f.")]


def test_identity(g):
    machine = "0123456789abcdef0123456789abcdef"
    assert g.identity("fork-7", machine, 42, ["COLOUR=blue", "HOME=/nowhere", "PATH=/bin:/usr/bin"]) == 0
    etc = g.dir + "/etc/"
    assert g.run("hostname").out == b"fork-7\n"
    assert open(etc + "hostname").read() == "fork-7\n" and open(etc + "machine-id").read() == machine + "\n"
    assert open(etc + "hosts").read() == "127.0.0.1\tlocalhost\n127.0.1.1\tfork-7\n"
    assert open(g.dir + "/generation").read() == "42\n" and g.info()["generation"] == 42
    env = g.run("env", user="tester").out.decode().split("\n")
    assert "COLOUR=blue" in env and "RAMET_GENERATION=42" in env and f"HOME={g.home}" in env
    assert "PATH=/bin:/usr/bin" in env and not [e for e in env if e.startswith("FROM_START")]
    assert g.identity(generation=43) == 0
    assert g.run("hostname; echo $COLOUR $RAMET_GENERATION").out == b"fork-7\nblue 43\n"
    long = "LONG=" + 200_000 * "x"
    assert g.identity(env=[long, "C=d"]) == 0
    assert g.environment("tester")[-3:] == [long, "C=d", "RAMET_GENERATION=43"]
    assert sorted(os.listdir(etc)) == sorted(["passwd", "group", "hosts", "hostname", "machine-id"]
                                             + [n for n in ("ld.so.cache",) if os.path.exists(etc + n)])


def test_identity_with_bad_values(g):
    def refused(code="invalid", **kwargs):
        try:
            g.identity(**kwargs)
            raise AssertionError(kwargs)
        except GuestError as e:
            assert e.code == code, e.code

    refused(hostname="Upper")
    refused(hostname="a/b")
    refused(machine_id="short")
    refused(machine_id="G" * 32)
    refused(hostname="x" * 64, code="limit")
    refused(env=["A=" + "x" * 300000], code="limit")
    assert open(g.dir + "/etc/hostname").read() == "old\n" and g.info()["generation"] == 0


def test_identity_follows_no_link_and_waits_for_no_fifo(g):
    etc, outside = g.dir + "/etc/", g.dir + "/outside"
    with open(outside, "w") as f:
        f.write("mine")
    for name in ("hostname", "hosts"):
        os.remove(etc + name)
    os.symlink(outside, etc + "hostname")
    os.mkfifo(etc + "hosts")
    os.symlink(outside, etc + ".machine-id.ramet")
    assert g.identity("h", "0" * 32, 1) == 2
    assert open(outside).read() == "mine" and open(etc + "hostname").read() == "h\n"
    assert not os.path.islink(etc + "hostname")


def mount(g, *args):
    s = g.run(["/bin/mount", *args], cwd="/")
    assert s.exit.status == 0, s.err


def test_identity_on_a_mounted_file(g):
    mounted = g.home + "/mounted"
    with open(mounted, "w") as f:
        f.write("a longer name than the new one\n")
    mount(g, "--bind", mounted, "/etc/hostname")
    assert g.identity("h2") == 0
    assert open(mounted).read() == "h2\n" and g.run("cat /etc/hostname").out == b"h2\n"


def test_identity_on_a_read_only_etc(g):
    mount(g, "--bind", "/etc", "/etc")
    mount(g, "-o", "remount,bind,ro", "/etc")
    assert g.identity("h3", "f" * 32, 5) == 7
    assert g.run("hostname; echo $RAMET_GENERATION").out == b"h3\n5\n"


for needs_mounts in (test_identity_on_a_mounted_file, test_identity_on_a_read_only_etc):
    needs_mounts.options = ["--child-caps", "a82425fb"]


def test_shutdown(g):
    s = g.spawn("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.02; done")
    stubborn = g.spawn("trap '' TERM; echo up; while :; do sleep 0.05; done")
    s.until(lambda s: s.out)
    stubborn.until(lambda s: s.out)
    begin = time.monotonic()
    g.call("SHUTDOWN", u32(500))
    assert s.run().out == b"up\nbye\n" and s.exit.status == 3
    assert stubborn.run().exit.status == 9
    g.daemon.wait(5)
    assert 0.4 < time.monotonic() - begin < 4 and not os.path.exists(g.path)


def test_a_term_signal_shuts_down(g):
    s = g.spawn("echo up; exec sleep 100")
    s.until(lambda s: s.out)
    os.kill(g.init_pid(), signal.SIGTERM)
    assert s.run().exit.status == signal.SIGTERM
    g.daemon.wait(5)


def test_spawn_during_a_shutdown(g):
    s = g.spawn("trap '' TERM; echo up; sleep 100")
    s.until(lambda s: s.out)
    g.call("SHUTDOWN", u32(300))
    try:
        g.run("true")
        raise AssertionError("spawned")
    except GuestError as e:
        assert e.code == "shutting_down"
    g.daemon.wait(6)


def test_deadly_signals_from_inside(g):
    # The sanitizer handles SEGV, which makes PID 1 open to it; without it the kernel ignores the signal.
    names = ["KILL", "INT", "HUP", "USR1", "STOP", "PIPE"] + ([] if g.sanitized else ["SEGV"])
    g.run("; ".join(f"kill -{name} 1" for name in names))
    assert g.info()["version"] == 1
