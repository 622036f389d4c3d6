"""Frames and requests as a careless or hostile peer would send them."""
import os
import socket
import struct
import subprocess

from client import (ERROR, FRAME_LIMIT, OPS, REQUEST, STDIN, Cursor, GuestError, i32, strings, target, text,
                    u8, u16, u32, u64, until)


def refused(g, raw, code):
    with g.connect() as c:
        try:
            c.sock.sendall(raw)
        except BrokenPipeError:
            pass
        try:
            c.expect(0)
        except GuestError as e:
            assert e.code == code, (e.code, e.message)
            assert c.frame()[0] is None
            return e
    raise AssertionError("not refused")


def frame(payload, kind=REQUEST, flags=0, reserved=0):
    return struct.pack("<IBBH", len(payload), kind, flags, reserved) + payload


def request(op, fields=b""): return frame(u16(1) + u16(OPS[op]) + fields)


def test_a_length_of_4_gib_is_refused_at_once(g):
    refused(g, struct.pack("<IBBH", 2**32 - 1, REQUEST, 0, 0), "limit")
    refused(g, struct.pack("<IBBH", 1048577, REQUEST, 0, 0), "limit")
    assert g.info()["connections"] == 1


def test_a_long_second_frame_is_refused(g):
    s = g.spawn("cat", flags=2)
    s.c.sock.sendall(struct.pack("<IBBH", FRAME_LIMIT + 1, STDIN, 0, 0))
    try:
        s.run()
        raise AssertionError("not refused")
    except GuestError as e:
        assert e.code == "limit"


def test_malformed_frames(g):
    info = u16(1) + u16(1)
    refused(g, frame(info, kind=0x77), "protocol")
    refused(g, frame(info, kind=STDIN), "protocol")
    refused(g, frame(info, flags=1), "protocol")
    refused(g, frame(info, reserved=1), "protocol")
    refused(g, frame(b""), "protocol")
    refused(g, frame(b"\1\0\1"), "protocol")


def test_versions_operations_and_left_over_bytes(g):
    assert "1" in refused(g, frame(u16(2) + u16(1)), "version").message
    refused(g, frame(u16(0) + u16(1)), "version")
    refused(g, frame(u16(1) + u16(999)), "unsupported")
    refused(g, request("INFO", b"x"), "protocol")
    refused(g, request("WAIT", u32(1)), "protocol")
    refused(g, request("STAT", text("") + text("/") + u32(2)), "protocol")


def test_numbers_out_of_range(g):
    refused(g, request("SIGNAL", target(1) + i32(65) + u8(0)), "invalid")
    refused(g, request("SIGNAL", target(1) + i32(-1) + u8(0)), "invalid")
    refused(g, request("SIGNAL", target(1) + i32(1) + u8(2)), "invalid")
    refused(g, request("ATTACH", target(1) + u32(0) + u8(3) + u64(0)), "invalid")
    refused(g, request("DIAL", u8(2) + u16(1) + text("") + u32(0)), "invalid")
    refused(g, request("WAIT", target("")), "no_such_process")
    refused(g, request("FORGET", target("")), "invalid")


def test_strings_that_lie_about_their_length(g):
    refused(g, request("STAT", u32(2**32 - 1) + b"abc"), "protocol")
    refused(g, request("USER", u32(5) + b"abc"), "protocol")
    many = u32(2**32 - 1) + u32(0) * 10
    refused(g, request("SPAWN", u32(0) * 3 + text("") * 3 + many), "protocol")
    refused(g, request("SPAWN", u32(0) * 3 + text("") * 3 + strings([""] * 65537) + u32(0)), "limit")


def test_nul_bytes_and_long_paths(g):
    refused(g, request("STAT", text("") + text(b"/etc/pass\0wd") + u32(0)), "invalid")
    refused(g, request("STAT", text("") + text("/" + "a" * 4999) + u32(0)), "name_too_long")
    refused(g, request("STAT", text("") + text("/" + "a" * 300) + u32(0)), "name_too_long")
    refused(g, request("STAT", text("") + text("") + u32(0)), "invalid")
    refused(g, request("STAT", text("u" * 257) + text("/") + u32(0)), "limit")


def test_bytes_one_by_one(g):
    with g.connect() as c:
        for byte in request("INFO"):
            c.sock.sendall(bytes([byte]))
        assert c.expect(0x81).take("H") == 1


def test_a_half_close_still_gets_its_answer(g):
    with g.connect() as c:
        c.sock.sendall(request("INFO"))
        c.sock.shutdown(socket.SHUT_WR)
        assert c.expect(0x81).take("H") == 1


def test_a_connection_that_says_nothing_or_half(g):
    with g.connect() as quiet, g.connect() as half:
        half.sock.sendall(request("INFO")[:5])
        half.sock.shutdown(socket.SHUT_WR)
        assert half.frame()[0] is None
        quiet.sock.shutdown(socket.SHUT_WR)
        assert quiet.frame()[0] is None


def test_a_second_request_on_a_connection(g):
    s = g.spawn("sleep 100")
    s.c.sock.sendall(request("INFO"))
    try:
        s.run()
        raise AssertionError("not refused")
    except GuestError as e:
        assert e.code == "protocol"
    assert g.process(s.pid)["state"] == 1


def test_the_largest_request_and_one_more(g):
    argument = "x" * 100000
    s = g.run(["/bin/sh", "-c", "echo $#"] + [argument] * 10)
    assert s.out == b"9\n", (s.out, s.err)
    refused(g, request("SPAWN", b"x" * (1048576 - 3)), "limit")


def test_the_socket_is_private(g):
    assert os.stat(g.path).st_mode & 0o777 == 0o600


def test_too_many_connections(g):
    open_now = [g.connect() for _ in range(1024)]
    until(lambda: answers_too_many(g), "one more is refused")
    for c in open_now:
        c.close()
    until(lambda: counts_only_this(g), "all closed")


def counts_only_this(g):
    try:
        return g.info()["connections"] == 1
    except GuestError as e:
        assert e.code == "too_many", e
        return False


def answers_too_many(g):
    with g.connect() as c:
        kind, payload = c.frame()
        return kind == ERROR and Cursor(payload).take("H") == 19


def test_random_bytes(g):
    for seed in range(200):
        with g.connect() as c:
            body = bytes((seed * 131 + i * i * 17) % 251 for i in range(seed))
            c.sock.sendall(frame(u16(1) + u16(seed % 50 + 1) + body) if seed % 50 not in (10, 14)
                           else body)
    assert g.info()["version"] == 1


def test_the_loopback_hook(g):
    def hook(state):
        return subprocess.run([os.path.abspath(g.binary), "--loopback"], input=state, capture_output=True, text=True)

    with subprocess.Popen(["unshare", "--net", "sleep", "60"]) as container:
        try:
            space = f"/proc/{container.pid}/ns/net"
            until(lambda: os.readlink(space) != os.readlink("/proc/self/ns/net"), "the namespace is there")
            assert hook(f'{{"ociVersion":"1.2.0","id":"c","pid":{container.pid},"bundle":"/b"}}').returncode == 0
            link = subprocess.run(["nsenter", f"--net={space}", "ip", "link", "show", "lo"], capture_output=True, text=True)
            assert "UP" in link.stdout, link
        finally:
            container.kill()
    for state, says in (("", "no container's state"), ('{"pid":0}', "no container's state"),
                        (f'{{"pid":{2 ** 31 - 1}}}', "cannot bring the loopback")):
        failed = hook(state)
        assert failed.returncode == 1 and says in failed.stderr, failed
