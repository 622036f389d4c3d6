"""File operations as a given user."""
import os
import signal
import socket
import stat
import time

from client import CODES, DATA, DATA_END, END, ERROR, OK, Cursor, GuestError, entry, text, u32, until

APPEND, EXCLUSIVE, ATOMIC, PARENTS, SYNC = 4, 8, 16, 32, 64


def fails(code, call, errno=None):
    try:
        call()
    except GuestError as e:
        assert e.code == code, (e.code, e.errno, e.message)
        assert errno is None or e.errno == errno
        return
    raise AssertionError(f"no {code}")


def t(g, name): return os.path.join(g.home, name)


def test_stat(g):
    g.write("f", b"12345", user="tester", mode=0o640)
    e = g.stat("f", user="tester")
    assert (e["type"], e["size"], e["mode"], e["uid"], e["user"], e["group"]) == (1, 5, 0o640, 1234, "tester",
                                                                                 "tester")
    assert e["name"] == "f" and e["path"] == t(g, "f") and abs(e["mtime_ns"] / 1e9 - time.time()) < 60
    e = g.stat(g.home + "//")
    assert (e["type"], e["name"], e["path"]) == (2, "home", g.home)
    assert g.stat("/")["name"] == "/"
    fails("not_found", lambda: g.stat("/no/such"), 2)
    fails("not_directory", lambda: g.stat(t(g, "f/x")), 20)
    fails("no_such_user", lambda: g.stat("/", user="ghost"))


def test_links(g):
    os.symlink(g.home, t(g, "d"))
    os.symlink("nowhere", t(g, "dangling"))
    e = g.stat(t(g, "d"), flags=1)
    assert (e["type"], e["target_type"], e["target"]) == (3, 2, g.home)
    assert g.stat(t(g, "d"))["type"] == 2
    e = g.stat(t(g, "dangling"), flags=1)
    assert (e["type"], e["target_type"], e["target"]) == (3, 0, "nowhere")
    fails("not_found", lambda: g.stat(t(g, "dangling")))
    e = entry(g.file("SYMLINK", t(g, "new"), text("target"), "tester"))
    assert (e["type"], e["target"], e["uid"]) == (3, "target", 1234)
    assert g.file("READLINK", t(g, "new")).str() == "target"
    fails("invalid", lambda: g.file("READLINK", g.home))
    fails("exists", lambda: g.file("SYMLINK", t(g, "new"), text("x")))


def test_link_loops(g):
    os.symlink("a", t(g, "b"))
    os.symlink("b", t(g, "a"))
    fails("loop", lambda: g.stat(t(g, "a")))
    fails("loop", lambda: g.read(t(g, "a")))
    fails("loop", lambda: g.list_dir(t(g, "a")))
    fails("loop", lambda: g.write(t(g, "a"), b"x"))
    assert g.stat(t(g, "a"), flags=1)["type"] == 3
    os.symlink(".", t(g, "self"))
    assert len(g.list_dir(g.home, depth=10)[0]) == 3


def test_permissions_are_the_users(g):
    secret = g.dir + "/secret"
    with open(secret, "w") as f:
        f.write("s")
    os.chmod(secret, 0o600)
    fails("permission_denied", lambda: g.read(secret, user="tester"), 13)
    assert g.read(secret) == b"s"
    fails("permission_denied", lambda: g.write(g.dir + "/new", b"x", user="tester"))
    fails("permission_denied", lambda: g.file("MKDIR", g.dir + "/n", u32(0) + u32(0), "tester"))
    fails("permission_denied", lambda: g.file("REMOVE", secret, u32(0), "tester"))
    fails("permission_denied", lambda: g.file("CHMOD", secret, u32(0o777), "tester"))
    fails("permission_denied", lambda: g.file("CHOWN", secret, u32(1234) + u32(1234) + u32(0), "tester"))
    os.mkdir(g.dir + "/closed", 0o700)
    fails("permission_denied", lambda: g.list_dir(g.dir + "/closed", user="tester"))
    fails("permission_denied", lambda: g.watch(g.dir + "/closed", user="tester"))
    # A group that only membership gives.
    os.chown(secret, 0, 2002)
    os.chmod(secret, 0o640)
    assert g.read(secret, user="tester") == b"s"
    fails("permission_denied", lambda: g.read(secret, user="tester:tester"))


def test_read(g):
    data = os.urandom(300000)
    with open(t(g, "f"), "wb") as f:
        f.write(data)
    assert g.read(t(g, "f")) == data
    assert g.read(t(g, "f"), offset=1000, length=70000) == data[1000:71000]
    assert g.read(t(g, "f"), offset=299999) == data[-1:]
    assert g.read(t(g, "f"), offset=400000) == b"" == g.read(t(g, "f"), length=0)
    fails("is_directory", lambda: g.read(g.home))


def test_read_raw(g):
    data = os.urandom(3000000)
    with open(t(g, "f"), "wb") as f:
        f.write(data)
    assert g.read_raw(t(g, "f"), user="tester") == data
    assert g.read_raw(t(g, "f"), offset=1000, length=70001) == data[1000:71001]
    assert g.read_raw(t(g, "f"), offset=2999999) == data[-1:]
    assert g.read_raw(t(g, "f"), offset=4000000) == b"" == g.read_raw(t(g, "f"), length=0)
    assert g.read_raw("/proc/self/status") == b""
    c, promised, e = g.open_read_raw(t(g, "f"))
    with c:
        assert (promised, e["size"], e["path"]) == (3000000, 3000000, t(g, "f"))
    os.mkfifo(t(g, "fifo"))
    os.chmod(t(g, "f"), 0o600)
    fails("unsupported", lambda: g.read_raw("/sys/devices/system/cpu/online"))
    fails("not_regular", lambda: g.read_raw(t(g, "fifo")))
    fails("is_directory", lambda: g.read_raw(g.home))
    fails("permission_denied", lambda: g.read_raw(t(g, "f"), user="tester"))


def test_read_raw_of_a_file_that_gets_shorter(g):
    with open(t(g, "f"), "wb") as f:
        f.write(b"x")
        f.truncate(64 << 20)
    c, promised, _ = g.open_read_raw(t(g, "f"))
    with c:
        os.truncate(t(g, "f"), 1 << 20)
        received = 0
        while part := c.sock.recv(1 << 16):
            received += len(part)
        assert received < promised


def test_write(g):
    data = os.urandom(300000)
    e = g.write("f", data, user="tester")
    assert (e["size"], e["uid"], e["mode"], e["path"]) == (300000, 1234, 0o644, t(g, "f"))
    assert open(t(g, "f"), "rb").read() == data
    g.write(t(g, "f"), b"XY", flags=1, offset=5)
    g.write(t(g, "f"), b"end", flags=APPEND)
    now = open(t(g, "f"), "rb").read()
    assert now == data[:5] + b"XY" + data[7:] + b"end"
    g.write(t(g, "f"), b"")
    assert os.path.getsize(t(g, "f")) == 0
    fails("not_found", lambda: g.write(t(g, "other"), b"x", flags=2))
    fails("exists", lambda: g.write(t(g, "f"), b"x", flags=EXCLUSIVE))
    fails("is_directory", lambda: g.write(g.home, b"x"))
    fails("is_directory", lambda: g.write(t(g, "x/"), b"x"))
    fails("not_found", lambda: g.write(t(g, "deep/er/f"), b"x"))
    e = g.write("deep/er/f", b"x", user="tester", flags=3 | PARENTS | SYNC, mode=0o600)
    assert e["mode"] == 0o600 and os.stat(t(g, "deep/er")).st_uid == 1234
    fails("invalid", lambda: g.write(t(g, "f"), b"x", flags=ATOMIC | APPEND))
    fails("invalid", lambda: g.write(t(g, "f"), b"x", flags=ATOMIC, offset=1))


def test_atomic_write(g):
    with open(t(g, "f"), "w") as f:
        f.write("old")
    os.chmod(t(g, "f"), 0o751)
    os.chown(t(g, "f"), 1234, 2001)
    os.symlink("f", t(g, "link"))
    with g.open_write(t(g, "f"), flags=ATOMIC) as c:
        c.expect(OK)
        c.send(DATA, b"half")
    until(lambda: g.usage()["helpers"] == 0, "the helper is gone")
    assert open(t(g, "f")).read() == "old" and sorted(os.listdir(g.home)) == ["f", "link"]
    g.write(t(g, "link"), b"new", flags=ATOMIC)
    st = os.stat(t(g, "f"))
    assert open(t(g, "f")).read() == "new" and os.path.islink(t(g, "link"))
    assert (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (0o751, 1234, 2001)
    assert sorted(os.listdir(g.home)) == ["f", "link"]
    fails("exists", lambda: g.write(t(g, "f"), b"x", flags=ATOMIC | EXCLUSIVE))
    g.write(t(g, "fresh"), b"x", flags=ATOMIC)
    assert os.stat(t(g, "fresh")).st_mode & 0o777 == 0o644


def test_a_full_disk(g):
    s = g.run(f"mount -t tmpfs -o size=64k tmpfs {g.home}", cwd="/")
    assert s.exit.status == 0, s.err
    with g.open_write(t(g, "f"), flags=ATOMIC) as c:
        c.expect(OK)
        try:
            for _ in range(200):
                c.send(DATA, b"x" * 65536)
        except BrokenPipeError:
            pass
        kind, payload = c.frame()
        assert kind == ERROR and CODES[Cursor(payload).take("H")] == "no_space"
    assert g.list_dir(g.home)[0] == []


test_a_full_disk.options = ["--child-caps", "a82425fb"]


def test_an_early_end_of_a_write(g):
    with g.open_write(t(g, "f")) as c:
        c.expect(OK)
        c.send(DATA, b"some")
    until(lambda: g.usage()["helpers"] == 0, "the helper is gone")
    assert open(t(g, "f")).read() == "some"
    with g.open_write(t(g, "f")) as c:
        c.expect(OK)
        c.send(2, b"stdin?")
        kind, payload = c.frame()
        assert kind == ERROR and CODES[Cursor(payload).take("H")] == "protocol"


def test_data_before_the_ok(g):
    with g.open_write(t(g, "f")) as c:
        c.send(DATA, b"early")
        c.send(DATA_END)
        c.expect(OK)
        assert c.expect(END).take("Q") == 5


def test_fifos_and_devices_never_block(g):
    os.mkfifo(t(g, "fifo"))
    fails("not_regular", lambda: g.read(t(g, "fifo")))
    fails("not_regular", lambda: g.write(t(g, "fifo"), b"x"))
    fails("not_regular", lambda: g.write(t(g, "fifo"), b"x", flags=ATOMIC))
    fails("not_regular", lambda: g.read("/dev/zero"))
    fails("not_regular", lambda: g.read(g.path))
    assert g.stat(t(g, "fifo"))["type"] == 4 and g.stat("/dev/null")["type"] == 5
    assert g.stat(g.path)["type"] == 7
    os.mkfifo(g.dir + "/etc/fifo")
    os.rename(g.dir + "/etc/fifo", g.dir + "/etc/group")
    assert g.run("id -u", user="tester").out == b"1234\n"
    assert g.stat("/")["group"] == ""


def test_list(g):
    os.makedirs(t(g, "a/b/c"))
    for name in ("a/f1", "a/b/f2", "top"):
        open(t(g, name), "w").close()
    names = sorted(e["path"][len(g.home) + 1:] for e in g.list_dir(g.home)[0])
    assert names == ["a", "top"]
    found, end = g.list_dir(g.home + "/", depth=2)
    assert sorted(e["path"][len(g.home) + 1:] for e in found) == ["a", "a/b", "a/f1", "top"]
    assert end == (4, 0, 0) and all(e["path"].endswith("/" + e["name"]) for e in found)
    assert len(g.list_dir(g.home, depth=64)[0]) == 6
    assert g.list_dir(g.home, depth=64, most=3)[1] == (3, 0, 1)
    fails("not_directory", lambda: g.list_dir(t(g, "top")))
    os.mkdir(t(g, "closed"), 0o700)
    assert g.list_dir(g.home, depth=3, user="tester")[1][1] == 1


def test_a_large_directory(g):
    for i in range(3000):
        open(t(g, f"file-{i:05}"), "w").close()
    found, end = g.list_dir(g.home)
    assert end == (3000, 0, 0) and len({e["name"] for e in found}) == 3000


def test_names_that_are_no_text(g):
    name = b"\xff\xfe \n\x01"
    open(os.path.join(g.home.encode(), name), "w").close()
    assert g.list_dir(g.home)[0][0]["name"].encode(errors="surrogateescape") == name
    assert g.file("STAT", os.path.join(g.home.encode(), name), u32(0))


def test_mkdir_rename_remove(g):
    r = g.file("MKDIR", "x", u32(0) + u32(0o750), "tester")
    assert r.take("B") == 1 and entry(r)["mode"] == 0o750
    fails("exists", lambda: g.file("MKDIR", t(g, "x"), u32(0) + u32(0)))
    fails("not_found", lambda: g.file("MKDIR", t(g, "p/q/r"), u32(0) + u32(0)))
    assert g.file("MKDIR", t(g, "p/q/r/"), u32(1) + u32(0)).take("B") == 1
    assert g.file("MKDIR", t(g, "p/q/r"), u32(1) + u32(0)).take("B") == 0
    open(t(g, "file"), "w").close()
    fails("not_directory", lambda: g.file("MKDIR", t(g, "file/x"), u32(1) + u32(0)))
    fails("exists", lambda: g.file("MKDIR", t(g, "file"), u32(1) + u32(0)))
    fails("exists", lambda: g.file("RENAME", t(g, "file"), text(t(g, "x")) + u32(1)))
    fails("not_found", lambda: g.file("RENAME", t(g, "file"), text(t(g, "new/place")) + u32(0)))
    assert entry(g.file("RENAME", t(g, "file"), text(t(g, "new/place")) + u32(2)))["name"] == "place"
    fails("not_empty", lambda: g.file("REMOVE", t(g, "p"), u32(0)))
    assert g.file("REMOVE", t(g, "p"), u32(1)).take("Q") == 3
    assert g.file("REMOVE", t(g, "x"), u32(0)).take("Q") == 1
    fails("not_found", lambda: g.file("REMOVE", t(g, "x"), u32(0)))
    assert g.file("REMOVE", t(g, "x"), u32(3)).take("Q") == 0


def test_remove_does_not_follow_links(g):
    os.makedirs(t(g, "keep/deep"))
    os.makedirs(t(g, "gone"))
    os.symlink(t(g, "keep"), t(g, "gone/link"))
    os.symlink(t(g, "keep"), t(g, "alone"))
    g.file("REMOVE", t(g, "gone"), u32(1))
    g.file("REMOVE", t(g, "alone"), u32(1))
    assert os.listdir(g.home) == ["keep"] and os.path.isdir(t(g, "keep/deep"))


def test_modes_and_owners(g):
    open(t(g, "f"), "w").close()
    assert entry(g.file("CHMOD", t(g, "f"), u32(0o4711)))["mode"] == 0o4711
    e = entry(g.file("CHOWN", t(g, "f"), u32(1234) + u32(0xFFFFFFFF) + u32(0)))
    assert (e["uid"], e["gid"]) == (1234, 0)
    fails("invalid", lambda: g.file("CHMOD", t(g, "f"), u32(0o10000)))


def test_extended_attributes(g):
    # tmpfs of older kernels has no user attributes: the test needs a file system that does.
    path = t(g, "f")
    open(path, "w").close()
    os.chown(path, 1234, 1234)
    set_ = lambda name, value, flags=0: g.file("XATTR_SET", path, text(name) + text(value) + u32(flags), "tester")
    set_("user.a", b"one\0two")
    set_("user.b", b"")
    assert g.file("XATTR_GET", path, text("user.a") + u32(0)).bytes() == b"one\0two"
    assert sorted(n for n in g.file("XATTR_LIST", path, u32(0)).list() if n[:5] == "user.") == ["user.a", "user.b"]
    open(t(g, "plain"), "w").close()
    listed = {e["path"]: e["attributes"] for e in g.list_dir(g.home)[0]}
    assert listed[path] == g.stat(path)["attributes"] == 3 and listed[t(g, "plain")] == 1
    assert g.stat(g.home)["attributes"] == 0
    fails("exists", lambda: set_("user.a", b"x", 2))
    fails("no_data", lambda: set_("user.c", b"x", 4))
    g.file("XATTR_REMOVE", path, text("user.a") + u32(0), "tester")
    fails("no_data", lambda: g.file("XATTR_GET", path, text("user.a") + u32(0)))
    fails("unsupported", lambda: set_("nonsense.a", b"x"))
    fails("limit", lambda: set_("user.a", b"x" * 65537))


def test_more_operations_than_helpers(g):
    # Writers that stay open take all helpers; what comes after them waits and is served in the end.
    writers = [g.open_write(t(g, f"w{i}")) for i in range(16)]
    for w in writers:
        w.expect(OK)
    waiting = [g.open_write(t(g, f"late{i}")) for i in range(5)]
    for w in waiting:
        w.send(DATA, b"y" * 60000)
        w.send(DATA_END)
    assert g.usage()["helpers"] == 16
    for w in writers:
        w.send(DATA_END)
        w.expect(END)
    for w in waiting:
        w.expect(OK)
        assert w.expect(END).take("Q") == 60000


def test_a_killed_helper_is_an_end_without_a_last_frame(g):
    w = g.open_write(t(g, "f"), user="tester")
    w.expect(OK)
    g.run("kill -9 -1", user="tester")
    assert w.frame()[0] is None
    assert g.info()["version"] == 1


def test_helpers_hold_nothing_of_the_guests(g):
    s = g.spawn("sleep 100")
    w = g.open_write(t(g, "f"), user="tester")
    w.expect(OK)
    # Descriptor 3 is the connection, 4 the file.
    listing = g.run("for p in /proc/[0-9]*; do grep -q ramet-file $p/comm || continue; ls $p/fd; "
                    "grep -E 'Uid|Groups|NoNewPrivs|CapPrm' $p/status; done", user="0").out.decode()
    assert "Uid:\t1234\t1234" in listing and "CapPrm:\t0000000000000000" in listing, listing
    assert "NoNewPrivs:\t1" in listing and listing.startswith("0\n1\n2\n3\n4\nUid")
    g.signal(s.pid, signal.SIGKILL)


def test_half_closed_requests(g):
    open(t(g, "f"), "w").close()
    with g.connect() as c:
        c.request(32, text("") + text(t(g, "f")) + u32(0))
        c.sock.shutdown(socket.SHUT_WR)
        assert entry(c.expect(OK))["type"] == 1
