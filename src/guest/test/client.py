"""A client of the guest protocol for the tests, written from docs/guest-protocol.md."""
import socket
import struct
import time

REQUEST, STDIN, STDIN_EOF, DATA, DATA_END = 1, 2, 3, 4, 5
OK, ERROR, OUTPUT, EXIT, FILE_DATA, END, ENTRY, EVENT, PROCESS = range(0x81, 0x8A)
OPS = dict(INFO=1, SPAWN=2, ATTACH=3, STDIN=4, SIGNAL=5, RESIZE=6, LIST=7, WAIT=8, FORGET=9, DIAL=10,
           QUIESCE=11, RELEASE=12, IDENTITY=13, USAGE=14, SHUTDOWN=15, USER=16, ENVIRONMENT=17,
           STAT=32, LIST_DIR=33, READ=34, WRITE=35, MKDIR=36, RENAME=37, REMOVE=38, CHMOD=39, CHOWN=40, SYMLINK=41,
           READLINK=42, XATTR_GET=43, XATTR_SET=44, XATTR_LIST=45, XATTR_REMOVE=46, WATCH=47, READ_RAW=48)
CODES = ["", "protocol", "version", "limit", "invalid", "unsupported", "not_found",
         "permission_denied", "exists", "not_directory", "is_directory", "not_empty", "no_space",
         "read_only", "name_too_long", "loop", "no_such_user", "no_such_process", "exec_failed",
         "too_many", "busy", "io", "refused", "timeout", "not_regular", "closed", "shutting_down",
         "no_memory", "no_data", "cross_device", "bad_cwd"]
PTY, WANT_STDIN, KILL_ON_CLOSE, NO_ATTACH, CLEAR_ENV = 1, 2, 4, 8, 16
DEADLINE = 20
FRAME_LIMIT = 65536


class GuestError(Exception):
    def __init__(self, payload):
        code, _, self.errno, n = struct.unpack_from("<HHiI", payload)
        self.code = CODES[code]
        self.message = payload[12:12 + n].decode()
        super().__init__(f"{self.code} errno={self.errno} {self.message}")


def u8(v): return struct.pack("<B", v)
def u16(v): return struct.pack("<H", v)
def u32(v): return struct.pack("<I", v)
def i32(v): return struct.pack("<i", v)
def u64(v): return struct.pack("<Q", v)


def text(s):
    raw = s if isinstance(s, bytes) else s.encode()
    return u32(len(raw)) + raw


def strings(items): return u32(len(items)) + b"".join(text(i) for i in items)
def target(t): return u32(0) + text(t) if isinstance(t, str) else u32(t) + text("")


class Cursor:
    def __init__(self, data): self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values[0] if len(values) == 1 else values

    def bytes(self):
        n = self.take("I")
        self.at += n
        return self.data[self.at - n:self.at]

    def str(self): return self.bytes().decode(errors="surrogateescape")
    def list(self): return [self.str() for _ in range(self.take("I"))]


class Connection:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(path)
        self.buffer = b""

    def send(self, kind, payload=b""): self.sock.sendall(struct.pack("<IBBH", len(payload), kind, 0, 0) + payload)
    def request(self, op, fields=b"", version=1): self.send(REQUEST, u16(version) + u16(op) + fields)
    def close(self): self.sock.close()
    def __enter__(self): return self
    def __exit__(self, *_): self.close()

    def read_exactly(self, n):
        while len(self.buffer) < n:
            try:
                got = self.sock.recv(262144)
            except ConnectionResetError:
                got = b""
            if not got:
                return None
            self.buffer += got
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def frame(self):
        """The next frame, or (None, b'') at the end."""
        header = self.read_exactly(8)
        if header is None:
            return None, b""
        n, kind, _, _ = struct.unpack("<IBBH", header)
        return kind, self.read_exactly(n)

    def expect(self, wanted):
        kind, payload = self.frame()
        if kind == ERROR:
            raise GuestError(payload)
        assert kind == wanted, f"wanted frame {wanted:#x}, got {kind}"
        return Cursor(payload)


class Exit:
    def __init__(self, c):
        self.kind, self.core, _, self.status, self.seq, self.user_us, self.system_us, self.max_rss, \
            self.ended_ms = c.take("BBHiQQQQq")


class Stream:
    """A SPAWN or ATTACH connection."""
    def __init__(self, connection):
        self.c = connection
        ok = self.c.expect(OK)
        self.pid, self.seq, self.dropped = ok.take("IQQ")
        self.next, self.out, self.err, self.pty, self.exit = self.seq, b"", b"", b"", None

    def step(self):
        kind, payload = self.c.frame()
        if kind is None:
            return False
        if kind == ERROR:
            raise GuestError(payload)
        if kind == EXIT:
            self.exit = Exit(Cursor(payload))
            return False
        assert kind == OUTPUT, kind
        seq, stream = struct.unpack_from("<QB", payload)
        assert seq == self.next, f"gap: {seq} after {self.next}"
        self.next = seq + len(payload) - 9
        if stream == 1:
            self.out += payload[9:]
        elif stream == 2:
            self.err += payload[9:]
        else:
            self.pty += payload[9:]
        return True

    def run(self):
        while self.step():
            pass
        return self

    def until(self, condition):
        while not condition(self):
            assert self.step(), f"ended: {self.out!r} {self.err!r} {self.pty!r}"
        return self


class Client:
    def __init__(self, path): self.path = path
    def connect(self): return Connection(self.path)

    def call(self, op, fields=b""):
        with self.connect() as c:
            c.request(OPS[op], fields)
            return c.expect(OK)

    def spawn(self, argv, user="", cwd="", env=(), flags=0, tag="", ring=0, rows=0, cols=0):
        c = self.connect()
        argv = ["/bin/sh", "-c", argv] if isinstance(argv, str) else argv
        c.request(OPS["SPAWN"], u32(flags) + u16(rows) + u16(cols) + u32(ring) + text(user) + text(cwd)
                  + text(tag) + strings(argv) + strings(env))
        try:
            return Stream(c)
        except BaseException:
            c.close()
            raise

    def run(self, *args, **kwargs):
        s = self.spawn(*args, **kwargs).run()
        s.c.close()
        return s

    def attach(self, t, flags=0, start=1, seq=0):
        c = self.connect()
        c.request(OPS["ATTACH"], target(t) + u32(flags) + u8(start) + u64(seq))
        return Stream(c)

    def write_stdin(self, t, data, eof=0): self.call("STDIN", target(t) + u8(eof) + text(data))
    def signal(self, t, signo, group=0): self.call("SIGNAL", target(t) + i32(signo) + u8(group))
    def resize(self, t, rows, cols): self.call("RESIZE", target(t) + u16(rows) + u16(cols))
    def forget(self, t): self.call("FORGET", target(t))

    def wait(self, t):
        with self.connect() as c:
            c.request(OPS["WAIT"], target(t))
            c.expect(OK)
            return Exit(c.expect(EXIT))

    def processes(self):
        found = []
        with self.connect() as c:
            c.request(OPS["LIST"])
            c.expect(OK)
            while True:
                kind, payload = c.frame()
                if kind == END:
                    assert Cursor(payload).take("I") == len(found)
                    return found
                assert kind == PROCESS, kind
                r = Cursor(payload)
                p = dict(zip(("id", "pid", "state", "flags", "readers", "started_ms", "oldest", "end"),
                             r.take("QIBBHqQQ")))
                p["exit"] = Exit(r)
                p.update(tag=r.str(), user=r.str(), cwd=r.str(), argv=r.list())
                assert r.at == len(payload)
                found.append(p)

    def process(self, pid): return next(p for p in self.processes() if p["pid"] == pid)

    def info(self):
        r = self.call("INFO")
        d = dict(version=r.take("H"), oldest=r.take("H"), guest=r.str())
        d.update(zip(("running", "connections", "generation", "held", "max_connections", "max_processes",
                      "max_request", "max_frame"), r.take("IIQBIIII")))
        return d

    def usage(self):
        return dict(zip(("uptime_ms", "running", "exited", "connections", "helpers", "ring_bytes", "rss",
                         "processes", "threads", "cpu_us", "memory"),
                        self.call("USAGE").take("QIIIIQQIIQQ")))

    def quiesce(self, hold_ms=0):
        with self.connect() as c:
            c.request(OPS["QUIESCE"], u32(hold_ms))
            answer = c.expect(OK).take("II")
            assert c.frame()[0] is None
            return answer

    def release(self): self.call("RELEASE")

    def identity(self, hostname="", machine_id="", generation=0, env=None):
        return self.call("IDENTITY", text(hostname) + text(machine_id) + u64(generation)
                         + u8(env is not None) + strings(env or [])).take("I")

    def dial(self, port, address="", timeout=0, kind=0):
        c = self.connect()
        c.request(OPS["DIAL"], u8(kind) + u16(port) + text(address) + u32(timeout))
        c.expect(OK)
        return c

    def read(self, path, user="", offset=0, length=2**64 - 1):
        data, end = self.file_data(OPS["READ"], text(user) + text(path) + u64(offset) + u64(length))
        assert end.take("Q") == len(data)
        return data

    def environment(self, user=""):
        data, _ = self.file_data(OPS["ENVIRONMENT"], text(user))
        return data.decode(errors="surrogateescape").split("\0")[:-1]

    def file_data(self, op, fields):
        with self.connect() as c:
            c.request(op, fields)
            c.expect(OK)
            data = b""
            while True:
                kind, payload = c.frame()
                if kind == END:
                    return data, Cursor(payload)
                assert kind == FILE_DATA, kind
                data += payload

    def open_read_raw(self, path, user="", offset=0, length=2**64 - 1):
        """The connection, where its bytes begin; how many were promised; the entry."""
        c = self.connect()
        c.request(OPS["READ_RAW"], text(user) + text(path) + u64(offset) + u64(length))
        told = c.expect(OK)
        return c, told.take("Q"), entry(told)

    def read_raw(self, path, **kwargs):
        c, promised, _ = self.open_read_raw(path, **kwargs)
        with c:
            data = c.read_exactly(promised)
            assert c.sock.recv(1) == b""
            return data

    def open_write(self, path, user="", flags=3, mode=0, offset=0):
        c = self.connect()
        c.request(OPS["WRITE"], text(user) + text(path) + u32(flags) + u32(mode) + u64(offset))
        return c

    def write(self, path, data, **kwargs):
        with self.open_write(path, **kwargs) as c:
            c.expect(OK)
            for at in range(0, len(data), 65536):
                c.send(DATA, data[at:at + 65536])
            c.send(DATA_END)
            end = c.expect(END)
            assert end.take("Q") == len(data)
            return entry(end)

    def list_dir(self, path, user="", depth=0, most=0):
        found = []
        with self.connect() as c:
            c.request(OPS["LIST_DIR"], text(user) + text(path) + u32(depth) + u32(most))
            c.expect(OK)
            while True:
                kind, payload = c.frame()
                if kind == END:
                    return found, Cursor(payload).take("IIB")
                assert kind == ENTRY, kind
                found.append(entry(Cursor(payload)))

    def file(self, op, path, fields=b"", user=""): return self.call(op, text(user) + text(path) + fields)
    def stat(self, path, user="", flags=0): return entry(self.file("STAT", path, u32(flags), user))

    def watch(self, path, user="", recursive=0):
        c = self.connect()
        c.request(OPS["WATCH"], text(user) + text(path) + u32(recursive))
        c.expect(OK)
        return c


def event(c):
    r = c.expect(EVENT)
    kind, kind_of_file, _, cookie = r.take("BBHI")
    return kind, r.str(), kind_of_file, cookie


def entry(r):
    e = dict(zip(("type", "target_type", "attributes", "mode", "uid", "gid", "nlink", "size", "mtime_ns"),
                 r.take("BBHIIIIQq")))
    e.update(name=r.str(), path=r.str(), user=r.str(), group=r.str(), target=r.str())
    return e


def until(condition, what, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"never came true: {what}")
