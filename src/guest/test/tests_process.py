"""Spawning, ending, signals, users, environment, terminals."""
import os
import signal

from client import (CLEAR_ENV, KILL_ON_CLOSE, NO_ATTACH, PTY, WANT_STDIN, GuestError, strings, text, u32, until)


def fails(code, call, errno=None):
    try:
        call()
    except GuestError as e:
        assert e.code == code, (e.code, e.message)
        assert errno is None or e.errno == errno, e.errno
        return e
    raise AssertionError(f"no {code}")


def test_output_and_exit_code(g):
    s = g.run("echo out; echo err >&2; exit 7")
    assert (s.out, s.err, s.exit.kind, s.exit.status) == (b"out\n", b"err\n", 0, 7)
    assert s.exit.seq == s.next == 8


def test_death_by_signal(g):
    s = g.run("kill -TERM $$; sleep 5")
    assert (s.exit.kind, s.exit.status) == (1, signal.SIGTERM)


def test_missing_command(g):
    fails("exec_failed", lambda: g.run(["no-such-command"]), 2)
    fails("exec_failed", lambda: g.run(["/no/such/command"]), 2)
    fails("exec_failed", lambda: g.run(["/etc/passwd"]), 13)
    fails("exec_failed", lambda: g.run(["/"]), 13)
    fails("invalid", lambda: g.run([]))
    fails("invalid", lambda: g.run([""]))
    assert g.processes() == []


def test_cwd(g):
    assert g.run(["pwd"], cwd="/usr").out == b"/usr\n"
    assert g.run(["pwd"], user="tester").out == g.home.encode() + b"\n"
    fails("bad_cwd", lambda: g.run(["pwd"], cwd="/no/such"), 2)
    fails("bad_cwd", lambda: g.run(["pwd"], cwd="/etc/passwd"), 20)
    fails("invalid", lambda: g.run(["pwd"], cwd="usr"))
    os.mkdir(g.dir + "/closed", 0o700)
    fails("bad_cwd", lambda: g.run(["pwd"], cwd=g.dir + "/closed", user="tester"), 13)


def test_users(g):
    assert g.run("id -u; id -g; id -G", user="tester").out == b"1234\n1234\n1234 2001 2002\n"
    assert g.run("id -u; id -g; id -G", user="tester:other").out == b"1234\n2002\n2002\n"
    assert g.run("id -u; id -g; id -G", user="777").out == b"777\n0\n0\n"
    assert g.run("id -u; id -g", user="777:888").out == b"777\n888\n"
    assert g.run("id -u; id -g", user="1234").out == b"1234\n1234\n"
    for bad in ("nobody-here", "tester:no-group", "-1", "4294967295", "12x"):
        fails("no_such_user", lambda: g.run(["id"], user=bad))
    r = g.call("USER", text("tester"))
    assert (r.take("II"), r.str(), r.str(), r.str()) == ((1234, 1234), "tester", g.home, "/bin/sh")
    assert g.processes()[0]["user"] == "tester"


def test_environment(g):
    s = g.run("env", user="tester", env=["A=1", "A=2", "B=x=y", "bad"])
    env = dict(line.split("=", 1) for line in s.out.decode().splitlines())
    assert (env["A"], env["B"], env["HOME"], env["USER"]) == ("2", "x=y", g.home, "tester")
    assert env["FROM_START"] == "yes" and "bad" not in env
    assert "FROM_START" not in g.run("env", flags=CLEAR_ENV).out.decode()
    assert g.environment("tester") == g.run(["env"], user="tester").out.decode().splitlines()
    fails("no_such_user", lambda: g.environment("nobody-here"))
    assert g.run("env", env=["PATH=/only"], flags=CLEAR_ENV).exit.status == 127
    fails("exec_failed", lambda: g.run(["env"], env=["PATH=/only"]))


def test_children_start_clean(g):
    s = g.run(["/bin/sh", "-c", "ls /proc/self/fd; grep -E '^(Sig(Blk|Ign)|NoNewPrivs|Cap(Inh|Amb|Prm))' "
               "/proc/self/status; umask; ulimit -n"])
    lines = s.out.decode().split("\n")
    assert lines[:4] == ["0", "1", "2", "3"], lines
    values = dict(line.split(":\t") for line in lines if ":\t" in line)
    assert (values["SigBlk"], values["SigIgn"]) == ("0" * 16, "0" * 16), values
    assert int(values["CapInh"], 16) == 0 and int(values["CapAmb"], 16) == 0
    assert int(values["CapPrm"], 16) & ~0xA80425FB == 0
    assert values["NoNewPrivs"] == "1" and "0022" in lines
    s = g.run("grep -E '^Cap(Prm|Bnd)' /proc/self/status", user="tester")
    assert s.out.split()[1] == b"0" * 16 and int(s.out.split()[3], 16) & ~0xA80425FB == 0


def test_no_way_to_become_more(g):
    s = g.run("hostname evil 2>&1; mount -t tmpfs x /mnt 2>&1; hostname")
    assert b"evil\n" not in s.out.splitlines(True)[-1:]
    assert s.out.count(b"ermi") >= 2 or s.out.count(b"denied") + s.out.count(b"must be") >= 1, s.out


def test_new_privileges_on_request(g):
    assert b"NoNewPrivs:\t0" in g.run("cat /proc/self/status").out


test_new_privileges_on_request.options = ["--allow-new-privs", "--child-oom-score-adj", "500"]


def test_signals(g):
    s = g.spawn("trap 'echo got; exit 4' USR1; echo ready; while :; do sleep 0.05; done")
    s.until(lambda s: s.out == b"ready\n")
    g.signal(s.pid, 0)
    g.signal(s.pid, signal.SIGUSR1)
    s.run()
    assert s.out == b"ready\ngot\n" and s.exit.status == 4
    fails("no_such_process", lambda: g.signal(s.pid, 0))
    fails("no_such_process", lambda: g.signal(99999, 0))


def test_a_signal_to_the_whole_group(g):
    s = g.spawn("sleep 100 & sleep 100 & echo up; wait")
    s.until(lambda s: s.out == b"up\n")
    g.signal(s.pid, signal.SIGKILL, group=1)
    assert s.run().exit.status == signal.SIGKILL
    until(lambda: g.usage()["processes"] == 1, "the group is gone")


def test_orphans_are_reaped(g):
    g.run("(sh -c 'sleep 0.1 & sleep 0.05 &' &) ; exit 0")
    for _ in range(30):
        g.run("(true &) & exit 0")
    until(lambda: g.usage()["processes"] == 1, "no zombie is left")


def test_closing_does_not_kill(g):
    s = g.spawn("echo $$; sleep 100", tag="stays")
    s.until(lambda s: s.out)
    s.c.close()
    again = g.attach("stays")
    again.until(lambda s: s.out)
    assert g.process(s.pid)["state"] == 1
    g.signal("stays", 9)
    assert again.run().exit.status == 9


def test_kill_on_close(g):
    s = g.spawn("sleep 100 & echo up; wait", flags=KILL_ON_CLOSE)
    s.until(lambda s: s.out)
    s.c.close()
    assert g.wait(s.pid).status == 9
    until(lambda: g.usage()["processes"] == 1, "children too")
    fails("invalid", lambda: g.spawn("true", flags=KILL_ON_CLOSE | NO_ATTACH))


def test_kill_on_close_before_the_start(g):
    for _ in range(30):
        with g.connect() as c:
            c.request(2, u32(KILL_ON_CLOSE) + u32(0) * 2 + text("") * 3 + strings(["/bin/sleep", "100"]) + strings([]))
    until(lambda: g.info()["running"] == 0 and g.usage()["processes"] == 1, "all are gone")


def test_no_attach_tags_and_listing(g):
    s = g.spawn("echo later; sleep 100", flags=NO_ATTACH, tag="job", cwd="/usr", user="tester")
    assert s.run().exit is None
    until(lambda: g.process(s.pid)["end"] == 6, "the output is kept")
    p = g.process(s.pid)
    assert (p["tag"], p["cwd"], p["user"], p["argv"]) == ("job", "/usr", "tester",
                                                         ["/bin/sh", "-c", "echo later; sleep 100"])
    assert (p["state"], p["readers"], p["flags"]) == (1, 0, 4)
    fails("exists", lambda: g.spawn("true", tag="job"))
    fails("busy", lambda: g.forget("job"))
    g.signal("job", 9, group=1)
    assert g.wait("job").status == 9
    again = g.run("true", tag="job")
    assert g.wait("job").status == 0
    g.forget(again.pid)
    assert g.wait("job").status == 9
    g.forget("job")
    fails("no_such_process", lambda: g.wait("job"))


def test_wait_while_it_runs(g):
    s = g.spawn("read x; exit 5", flags=WANT_STDIN | NO_ATTACH)
    with g.connect() as c:
        c.request(8, b"".join((s.pid.to_bytes(4, "little"), text(""))))
        c.expect(0x81)
        g.write_stdin(s.pid, "go\n")
        assert c.expect(0x84).take("BBHi") == (0, 0, 0, 5)


def test_a_long_command_line_is_listed_cut(g):
    s = g.run(["/bin/echo"] + ["y" * 1000] * 9)
    p = g.process(s.pid)
    assert len(p["argv"]) == 5 and p["flags"] & 8


def test_a_terminal(g):
    s = g.spawn("tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all; ps -o tty= -p $$; "
                "read line; stty size; echo \"<$line>\"", flags=PTY, rows=40, cols=120)
    s.until(lambda s: s.pty.count(b"pts/") == 2)
    assert b"40 120" in s.pty and b"all" in s.pty
    g.resize(s.pid, 50, 132)
    g.write_stdin(s.pid, "typed\n")
    s.run()
    assert b"50 132" in s.pty and b"<typed>" in s.pty and s.exit.status == 0 and s.out == b""
    fails("no_such_process", lambda: g.resize(s.pid, 10, 10))
    other = g.spawn("sleep 100")
    fails("invalid", lambda: g.resize(other.pid, 10, 10))


def test_a_terminal_of_a_user(g):
    s = g.run("stat -c %u $(tty); echo hi > $(tty)", flags=PTY, user="tester")
    assert b"1234" in s.pty and b"hi" in s.pty, s.pty


def test_a_process_outlives_its_use_of_a_terminal(g):
    s = g.run("echo hi; exec </dev/null >/dev/null 2>&1; sleep 0.3; exit 6", flags=PTY)
    assert b"hi" in s.pty and s.exit.status == 6, (s.pty, s.exit)


def test_a_terminal_is_opened_again(g):
    s = g.run("t=$(tty); exec </dev/null >/dev/null 2>&1; sleep 0.3; exec <$t >$t; echo back; stty size",
              flags=PTY, rows=40, cols=120)
    assert b"back" in s.pty and b"40 120" in s.pty and s.exit.status == 0, (s.pty, s.exit)


def test_keys_and_end_of_file_on_a_terminal(g):
    s = g.spawn("cat; echo rc=$?; trap 'exit 9' INT; echo ready; while :; do sleep 0.02; done", flags=PTY)
    s.c.send(2, b"line\n")
    s.until(lambda s: s.pty.count(b"line") == 2)
    s.c.send(3)
    s.until(lambda s: b"rc=0" in s.pty and b"ready" in s.pty)
    s.c.send(2, b"\x03")
    assert s.run().exit.status == 9


def test_input(g):
    s = g.spawn("cat; echo end", flags=WANT_STDIN)
    s.c.send(2, b"one ")
    g.write_stdin(s.pid, b"two ")
    s.until(lambda s: b"two" in s.out)
    s.c.send(3)
    assert s.run().out == b"one two end\n"
    fails("no_such_process", lambda: g.write_stdin(s.pid, b"x"))


def test_input_that_nobody_wants(g):
    s = g.spawn("echo up; sleep 100")
    s.until(lambda s: s.out)
    fails("closed", lambda: g.write_stdin(s.pid, b"x"))
    s = g.spawn("exec <&-; echo up; sleep 100", flags=WANT_STDIN)
    s.until(lambda s: s.out)
    g.write_stdin(s.pid, b"x")
    fails("closed", lambda: g.write_stdin(s.pid, b"x"))
    g.run("cat", flags=0)


def test_much_input_waits_for_a_slow_process(g):
    s = g.spawn("sleep 0.3; wc -c", flags=WANT_STDIN)
    data = b"z" * 60000
    for _ in range(50):
        s.c.send(2, data)
    s.c.send(3)
    assert s.run().out.split() == [b"3000000"]


def test_one_large_piece_of_input_with_its_end(g):
    s = g.spawn("wc -c", flags=WANT_STDIN)
    g.write_stdin(s.pid, b"q" * 262144, eof=1)
    assert s.run().out.split() == [b"262144"]
    fails("limit", lambda: g.write_stdin(1, b"q" * 262145))


def test_two_writers_are_not_interleaved(g):
    s = g.spawn("cat", flags=WANT_STDIN)
    other = g.attach(s.pid, flags=1)
    for _ in range(20):
        s.c.send(2, b"a" * 1000)
        other.c.send(2, b"b" * 1000)
    s.until(lambda s: len(s.out) == 40000)
    pieces = [s.out[i:i + 1000] for i in range(0, 40000, 1000)]
    assert all(len(set(p)) == 1 for p in pieces)
    s.c.send(3)
    assert s.run().exit.status == 0
