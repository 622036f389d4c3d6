"""Processes that are adopted in the middle of something: the cases of waits.c and filters.c."""
import os
import signal

from daemon import state_of, until


def start(daemon, name, source="waits"):
    program = daemon.program(source, name)
    program.expect("started")
    return program


def adopt_one(daemon, answer="adopted 1"):
    said = daemon.adopt()
    assert said == answer, said
    daemon.assert_no_listeners()


def finish(program):
    program.expect("ok")
    program.ended()


def sleeper(name, poke=None, source="waits"):
    def test(daemon):
        program = start(daemon, name, source)
        program.sleeping()
        adopt_one(daemon)
        # A restart is over when it sleeps again; only then a signal meets the call itself.
        if poke:
            program.sleeping()
            poke(program)
        finish(program)
    return test


def send_usr1(program):
    os.kill(program.pid, signal.SIGUSR1)


def send_line(program):
    program.go()


test_read_goes_on = sleeper("read", send_line)
test_nanosleep_goes_on = sleeper("nanosleep")
test_clock_nanosleep_goes_on = sleeper("clock_nanosleep")
test_futex_goes_on = sleeper("futex")
test_poll_goes_on = sleeper("poll")
test_ppoll_keeps_its_mask = sleeper("ppoll", send_usr1)
test_epoll_wait_goes_on = sleeper("epoll")
test_select_goes_on = sleeper("select")
test_pause_ends_by_a_signal = sleeper("pause", send_usr1)
test_sigsuspend_keeps_its_mask = sleeper("sigsuspend", send_usr1)
test_a_call_from_before_is_answered = sleeper("asking", send_line, "filters")


def test_a_computing_process_keeps_its_registers(daemon):
    program = start(daemon, "computing")
    adopt_one(daemon)
    finish(program)


def test_a_stopped_process_stays_stopped(daemon):
    program = start(daemon, "stopped")
    until(lambda: state_of(program.pid) == "T", "it is stopped")
    adopt_one(daemon)
    assert state_of(program.pid) == "T"
    os.kill(program.pid, signal.SIGCONT)
    finish(program)


def test_a_vfork_parent_is_left_for_later(daemon):
    daemon.may_say.append("keeps its listener: it does not stop")
    program = start(daemon, "vfork")
    until(lambda: len(daemon.members()) == 2, "the child is there")
    said = daemon.adopt()
    assert said == "adopted 1 pending 1", said
    program.go()
    finish(program)
    assert daemon.adopt() == "adopted 0"


def test_a_vfork_parents_other_thread_is_used(daemon):
    program = start(daemon, "vfork_beside_a_thread")
    until(lambda: len(daemon.members()) == 2, "the child is there")
    adopt_one(daemon)
    program.go()
    finish(program)


def test_a_process_without_its_main_thread(daemon):
    program = start(daemon, "dead_leader")
    until(lambda: state_of(program.pid) == "Z", "the main thread has ended")
    adopt_one(daemon)
    program.go()
    finish(program)


def test_a_thread_with_a_table_of_its_own(daemon):
    program = start(daemon, "own_table")
    program.expect("unshared")
    adopt_one(daemon)
    program.go()
    finish(program)


def test_what_another_one_traces_is_left_for_later(daemon):
    daemon.may_say.append("keeps its listener: it is traced by another process")
    program = start(daemon, "traced")
    until(lambda: len(daemon.members()) == 2, "the tracee is there")
    program.sleeping()
    said = daemon.adopt()
    assert said == "adopted 1 pending 1", said
    program.go()
    program.expect("detached")
    adopt_one(daemon, "adopted 0")
    program.go()
    finish(program)


def test_what_is_traced_for_a_moment_is_waited_for(daemon):
    program = start(daemon, "traced_briefly")
    until(lambda: len(daemon.members()) == 2, "the tracee is there")
    program.sleeping()
    program.go()
    adopt_one(daemon)
    program.go()
    finish(program)


def test_a_process_that_keeps_forking(daemon):
    program = start(daemon, "forking")
    adopt_one(daemon)
    program.go()
    finish(program)


def test_the_sandboxs_filters_do_not_stop_a_close(daemon):
    program = start(daemon, "with_a_strict_filter")
    program.expect("strict")
    adopt_one(daemon)
    program.go()
    finish(program)


def test_a_process_that_execs_from_other_threads(daemon):
    daemon.may_say.append("keeps its listener")
    programs = [start(daemon, "execs") for _ in range(4)]
    daemon.adopt()
    until(lambda: daemon.adopt() == "adopted 0", "nothing is left")
    daemon.assert_no_listeners()
    for program in programs:
        program.go()
        finish(program)


def test_no_signal_is_lost(daemon):
    programs = [start(daemon, "queued_signals") for _ in range(4)]
    adopt_one(daemon, "adopted 4")
    for program in programs:
        finish(program)


def with_threads(name, answer):
    def test(daemon):
        program = daemon.program("filters", name)
        program.expect("ready")
        adopt_one(daemon, answer)
        program.go()
        finish(program)
    return test


test_each_thread_with_a_filter_of_its_own = with_threads("own_filters", "adopted 8")
test_threads_with_one_filter = with_threads("one_filter", "adopted 1")
