"""Allocators whose memory was mapped from a file while they had it in use."""
import os

from run_tests import CannotRun


def run(daemon, **environment):
    program = daemon.program("allocator", daemon.prefix + "2", environment={**os.environ, **environment})
    program.expect("ready")
    assert daemon.adopt() == "adopted 1"
    program.go()
    program.expect("ok")
    program.ended()


def test_jemalloc_when_all_is_replaced(daemon):
    test_jemalloc_that_counts_on_zeros(daemon)


test_jemalloc_when_all_is_replaced.options = ["--replace-from", "4096"]


def test_glibc(daemon):
    run(daemon)


def test_glibc_that_gives_back_all_the_time(daemon):
    run(daemon, MALLOC_TRIM_THRESHOLD_="0", MALLOC_TOP_PAD_="0")


def test_glibc_that_never_maps_by_itself(daemon):
    run(daemon, MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_="4096")


def test_jemalloc_that_counts_on_zeros(daemon):
    library = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
    if not os.path.exists(library):
        raise CannotRun("there is no libjemalloc2")
    run(daemon, LD_PRELOAD=library, MALLOC_CONF="dirty_decay_ms:0,muzzy_decay_ms:0,narenas:4,retain:true")
