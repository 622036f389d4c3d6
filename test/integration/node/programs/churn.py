"""Gives memory back and takes it again: what is new or was dropped has to be zeros, and what is kept has to stay.

Reads a line from its input for each round, and answers "ok" or what is wrong.
"""
import gc
import mmap
import sys

PAGE, MIB = mmap.PAGESIZE, 1 << 20
SIZES = [100, 5000, 70_000, 300_000, MIB]
kept = [(n, "number %d" % n, bytes([n % 255 + 1]) * SIZES[n % 5]) for n in range(60)]
mapped = mmap.mmap(-1, 8 * MIB, flags=mmap.MAP_PRIVATE)
model = bytearray(8 * MIB)
passing = []
turns = 0


def put(start, count, value):
    mapped[start : start + count] = model[start : start + count] = bytes([value]) * count


def drop(start, count):
    mapped.madvise(mmap.MADV_DONTNEED, start, count)
    model[start : start + count] = bytes(count)


def churn():
    global turns
    passing.clear()
    gc.collect()
    for n in range(60):
        fresh = bytearray(SIZES[n % 5])
        assert not any(fresh), "a new bytearray of %d bytes is not zeros" % len(fresh)
        fresh[:] = bytes([n + 1]) * len(fresh)
        passing.append(fresh)
    # A page, some pages, much; what was written before the last checkpoint, and since.
    for start, pages in ((0, 1), (MIB, 16), (2 * MIB, 64), (3 * MIB, 300)):
        drop(start + turns % 7 * PAGE, pages * PAGE)
        put(start + turns % 5 * PAGE, PAGE, turns % 255 + 1)
    turns += 1
    assert mapped[:] == model, "what was dropped is not zeros, or what was kept has changed"
    for n, text, content in kept:
        assert (text, content) == ("number %d" % n, bytes([n % 255 + 1]) * SIZES[n % 5]), "what is kept has changed"


def outcome():
    try:
        for _ in range(3):
            churn()
    except AssertionError as wrong:
        return str(wrong)
    return "ok"


for mib in range(8):
    put(mib * MIB, MIB, mib + 1)
print(outcome(), flush=True)
for _ in sys.stdin:
    print(outcome(), flush=True)
