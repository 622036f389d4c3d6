"""Rings, readers, positions, back-pressure."""
import hashlib

from client import PTY, WANT_STDIN, GuestError, until


def test_big_output_to_a_slow_reader(g):
    s = g.spawn("seq 1 300000; echo done >&2", ring=4096)
    until(lambda: g.process(s.pid)["end"] > 0, "it writes")
    expected = "".join(f"{i}\n" for i in range(1, 300001)).encode()
    s.run()
    assert s.out == expected and s.err == b"done\n" and s.exit.seq == len(expected) + 5


def test_big_output_of_a_terminal(g):
    s = g.spawn("stty -opost; seq 1 100000", flags=PTY)
    assert s.run().pty == "".join(f"{i}\n" for i in range(1, 100001)).encode()


def test_without_a_reader_the_oldest_goes(g):
    s = g.spawn("seq 1 50000; read x", flags=WANT_STDIN | 8, ring=8192)
    until(lambda: g.process(s.pid)["end"] == 288894, "it wrote all")
    p = g.process(s.pid)
    assert p["oldest"] == p["end"] - 8192
    late = g.attach(s.pid)
    assert (late.seq, late.dropped) == (p["oldest"], p["oldest"])
    late.until(lambda s: len(s.out) == 8192)
    assert late.out.endswith(b"\n49999\n50000\n")
    now = g.attach(s.pid, start=0)
    assert (now.seq, now.dropped) == (p["end"], 0)
    exact = g.attach(s.pid, start=2, seq=p["end"] - 6)
    assert exact.dropped == 0 and exact.until(lambda s: len(s.out) == 6).out == b"50000\n"
    gone = g.attach(s.pid, start=2, seq=10)
    assert (gone.seq, gone.dropped) == (p["oldest"], p["oldest"] - 10)
    try:
        g.attach(s.pid, start=2, seq=p["end"] + 1)
        raise AssertionError("beyond the end")
    except GuestError as e:
        assert e.code == "invalid"
    g.write_stdin(s.pid, b"\n")
    for reader in (late, now, exact, gone):
        assert reader.run().exit.seq == p["end"]


def test_reattach_continues_where_it_stopped(g):
    s = g.spawn("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; echo e$i >&2; done; read x",
                flags=WANT_STDIN, tag="t", ring=131072)
    s.until(lambda s: s.next > 3000)
    out, err, seq = s.out, s.err, s.next
    s.c.close()
    again = g.attach("t", start=2, seq=seq)
    assert (again.seq, again.dropped) == (seq, 0)
    g.write_stdin("t", b"\n")
    again.run()
    assert out + again.out == b"".join(b"line %d\n" % i for i in range(1, 2001))
    assert err + again.err == b"".join(b"e%d\n" % i for i in range(1, 2001))


def test_two_readers_each_get_everything(g):
    s = g.spawn("read x; seq 1 100000", flags=WANT_STDIN, ring=4096)
    other = g.attach(s.pid)
    g.write_stdin(s.pid, b"\n")
    import threading
    thread = threading.Thread(target=other.run)
    thread.start()
    s.run()
    thread.join()
    assert s.out == other.out and hashlib.sha256(s.out).digest() == hashlib.sha256(
        b"".join(b"%d\n" % i for i in range(1, 100001))).digest()
    assert g.process(s.pid)["readers"] == 0


def test_a_reader_that_leaves_frees_the_process(g):
    s = g.spawn("seq 1 200000; exit 9", ring=4096)
    until(lambda: g.process(s.pid)["end"] > 4096, "it writes")
    s.c.close()
    assert g.wait(s.pid).status == 9


def test_interleaved_streams(g):
    # Alternating single bytes use up the tags long before the bytes.
    s = g.run(["python3", "-c", "import os\nfor i in range(5000):\n os.write(1,b'o');os.write(2,b'e')"],
              ring=4096)
    assert s.out == b"o" * 5000 and s.err == b"e" * 5000
    p = g.process(s.pid)
    assert 0 < p["end"] - p["oldest"] <= 4096
    late = g.attach(s.pid)
    late.run()
    assert len(late.out) + len(late.err) == p["end"] - p["oldest"]


def test_attach_after_the_exit(g):
    s = g.run("echo one; echo two >&2; exit 3")
    late = g.attach(s.pid).run()
    assert (late.out, late.err, late.exit.status, late.exit.seq) == (b"one\n", b"two\n", 3, 8)
    end = g.attach(s.pid, start=0).run()
    assert (end.out, end.exit.status) == (b"", 3)


def test_grandchildren_do_not_hold_the_exit_back(g):
    s = g.spawn("(sleep 0.4; echo late) & echo early; exit 2")
    s.run()
    assert (s.out, s.exit.status) == (b"early\n", 2)
    assert g.process(s.pid)["flags"] & 4
    until(lambda: g.process(s.pid)["end"] == 11, "what comes later is kept")
    assert g.attach(s.pid).run().out == b"early\nlate\n"
    until(lambda: not g.process(s.pid)["flags"] & 4, "closed in the end")


def test_an_endless_grandchild(g):
    s = g.spawn("yes & exit 1")
    s.run()
    assert s.exit.status == 1
    late = g.attach(s.pid).run()
    assert late.exit.status == 1 and len(late.out) <= 65536


def test_a_terminal_that_a_grandchild_keeps(g):
    s = g.spawn("(trap '' HUP; sleep 3) & echo out; exit 0", flags=PTY)
    assert b"out" in s.run().pty and s.exit.status == 0


def test_only_the_last_exited_are_kept(g):
    pids = [g.run("true").pid for _ in range(70)]
    kept = [p["pid"] for p in g.processes()]
    assert kept == pids[-64:]


def test_ring_sizes(g):
    try:
        g.run("true", ring=1048577)
        raise AssertionError("too large a ring")
    except GuestError as e:
        assert e.code == "invalid"
    s = g.run("head -c 1500000 /dev/zero", ring=1048576)
    assert len(s.out) == 1500000
    p = g.process(s.pid)
    assert p["end"] - p["oldest"] == 1048576
