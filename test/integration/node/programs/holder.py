"""Holds 32 MiB of known bytes, changes and drops parts of them when asked, and tells their digest."""
import hashlib
import mmap
import socket
import sys

PORT, PAGE = 7100, 4096
size = int(sys.argv[1])
mapped = mmap.mmap(-1, size * 3 // 4, flags=mmap.MAP_PRIVATE)
array = bytearray(size // 4)
parts = [memoryview(mapped), memoryview(array)]


def put(seed, start, count):
    content = hashlib.shake_256(seed.encode()).digest(count)
    first = parts[0][start : start + count]
    first[:] = content[: len(first)]
    begin = max(0, start - len(mapped))
    rest = content[len(first) :]
    parts[1][begin : begin + len(rest)] = rest


def scatter(seed, count):
    """Changes so many pages here and there."""
    picked = hashlib.shake_256(seed.encode()).digest(4 * count)
    for at in range(0, 4 * count, 4):
        page = int.from_bytes(picked[at : at + 4], "little") % (size // PAGE) * PAGE
        part, start = (parts[0], page) if page < len(mapped) else (parts[1], page - len(mapped))
        part[start : start + PAGE] = picked[at : at + 4] * (PAGE // 4)


def drop(start, count):
    mapped.madvise(mmap.MADV_DONTNEED, start, count)


def digest():
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


put("first", 0, size)
with socket.create_server(("127.0.0.1", PORT)) as server:
    while True:
        connection, _ = server.accept()
        with connection, connection.makefile("rw") as stream:
            verb, *arguments = stream.readline().split() or ["none"]
            if verb == "none":
                continue
            if verb == "put":
                put(arguments[0], int(arguments[1]), int(arguments[2]))
            if verb == "scatter":
                scatter(arguments[0], int(arguments[1]))
            if verb == "drop":
                drop(int(arguments[0]), int(arguments[1]))
            stream.write('{"exact": "%s", "progress": 0}\n' % digest())
