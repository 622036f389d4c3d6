"""Connections to ports inside."""
import os
import socket
import struct
import time

from client import GuestError, until

SERVER = """
import socket, sys
kind, where = sys.argv[1], sys.argv[2]
family = {"4": socket.AF_INET, "6": socket.AF_INET6, "u": socket.AF_UNIX}[kind]
s = socket.socket(family)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(where if kind == "u" else (("127.0.0.1" if kind == "4" else "::1"), int(where)))
s.listen(64)
print("up", flush=True)
while True:
    c, _ = s.accept()
    try:
        mode = c.recv(1)
    except ConnectionResetError:
        mode = b""
    if mode == b"e":
        while True:
            d = c.recv(65536)
            if not d: break
            c.sendall(d)
        c.sendall(b"END")
    elif mode == b"r":
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\1\\0\\0\\0\\0\\0\\0\\0")
    elif mode == b"a":
        c.sendall(b"answer")
    elif mode == b"w":
        for i in range(200): c.sendall(bytes([i]) * 50000)
    elif mode == b"k":
        print("kept", flush=True)
        print(repr(c.recv(10)), flush=True)
    c.close()
"""


def serve(g, kind, where):
    s = g.spawn(["python3", "-c", SERVER, kind, str(where)])
    s.until(lambda s: s.out == b"up\n")
    return s


def read_all(c):
    data = c.buffer
    while True:
        got = c.sock.recv(65536)
        if not got:
            return data
        data += got


def echo(c):
    c.sock.sendall(b"e" + b"hello" * 1000)
    c.sock.shutdown(socket.SHUT_WR)
    assert read_all(c) == b"hello" * 1000 + b"END"
    c.close()


def fails(code, call):
    try:
        call()
    except GuestError as e:
        assert e.code == code, (e.code, e.message)
        return
    raise AssertionError(f"no {code}")


def test_ipv4_with_half_close(g):
    s = serve(g, "4", 8080)
    for _ in range(20):
        echo(g.dial(8080))
    until(lambda: g.usage()["connections"] == 2, "all closed")
    s.c.close()


def test_ipv6_by_default_and_by_address(g):
    serve(g, "6", 8080)
    echo(g.dial(8080))
    echo(g.dial(8080, "::1"))
    fails("refused", lambda: g.dial(8080, "127.0.0.1"))


def test_a_unix_socket(g):
    path = g.dir + "/inner.sock"
    serve(g, "u", path)
    echo(g.dial(0, path, kind=1))
    fails("not_found", lambda: g.dial(0, path + "x", kind=1))
    fails("invalid", lambda: g.dial(0, "relative", kind=1))
    fails("limit", lambda: g.dial(0, "/" + "a" * 108, kind=1))


def test_nobody_listens(g):
    fails("refused", lambda: g.dial(9))
    fails("refused", lambda: g.dial(9, "127.0.0.1"))
    fails("invalid", lambda: g.dial(0))
    fails("invalid", lambda: g.dial(80, "localhost"))
    fails("timeout", lambda: g.dial(80, "192.0.2.1"))


def test_a_connect_that_hangs(g):
    s = g.spawn(["python3", "-c", "import socket,time\ns=socket.socket()\ns.bind(('127.0.0.1',81))\n"
                 "s.listen(0)\nprint('up',flush=True)\ntime.sleep(100)"])
    s.until(lambda s: s.out)
    held = []
    begin = time.monotonic()
    for _ in range(8):
        try:
            held.append(g.dial(81, "127.0.0.1", timeout=300))
        except GuestError as e:
            assert e.code == "timeout" and time.monotonic() - begin < 5
            break
    else:
        raise AssertionError("never timed out")


def test_bytes_sent_with_the_request(g):
    serve(g, "4", 8080)
    c = g.connect()
    c.sock.sendall(request(8080) + b"eearly")
    c.sock.shutdown(socket.SHUT_WR)
    c.expect(0x81)
    assert read_all(c) == b"earlyEND"


def test_an_answer_before_the_end_of_what_is_sent(g):
    s = serve(g, "4", 8080)
    for _ in range(20):
        c = g.dial(8080)
        c.sock.sendall(b"a" + bytes(4_000_000))
        c.sock.shutdown(socket.SHUT_WR)
        assert read_all(c) == b"answer"
        c.close()
    until(lambda: g.usage()["connections"] == 2, "all closed")
    s.c.close()


def request(port):
    payload = struct.pack("<HHBHII", 1, 10, 0, port, 0, 0)
    return struct.pack("<IBBH", len(payload), 1, 0, 0) + payload


def test_much_data_to_a_slow_host(g):
    serve(g, "4", 8080)
    c = g.dial(8080)
    c.sock.sendall(b"w")
    time.sleep(0.2)
    assert g.usage()["rss"] < (200 << 20 if g.sanitized else 2 << 20)
    data = read_all(c)
    assert data == b"".join(bytes([i]) * 50000 for i in range(200))


def test_a_reset_inside_closes_both(g):
    serve(g, "4", 8080)
    c = g.dial(8080)
    c.sock.sendall(b"r")
    assert read_all(c) == b""


def test_a_host_that_goes_away(g):
    s = serve(g, "4", 8080)
    c = g.dial(8080)
    c.sock.sendall(b"klast")
    s.until(lambda s: b"kept" in s.out)
    c.close()
    s.until(lambda s: s.out.endswith(b"b'last'\n") or s.out.endswith(b"b''\n"))
    until(lambda: g.usage()["connections"] == 2, "closed")


def test_a_last_word_before_closing(g):
    s = serve(g, "4", 8080)
    c = g.dial(8080)
    c.sock.sendall(b"k")
    s.until(lambda s: b"kept" in s.out)
    c.sock.sendall(b"farewell")
    c.close()
    s.until(lambda s: b"farewell" in s.out)


def test_many_at_once(g):
    serve(g, "4", 8080)
    cs = []
    for _ in range(50):
        c = g.dial(8080)
        cs.append(c)
    for i, c in enumerate(cs):
        c.sock.sendall(b"e%d" % i)
        c.sock.shutdown(socket.SHUT_WR)
    for i, c in enumerate(cs):
        assert read_all(c) == b"%dEND" % i
        c.close()
    assert os.path.exists(g.path)
