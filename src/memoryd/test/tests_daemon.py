"""memoryd itself: what it is asked, and what dies."""
import os
import signal
import socket
import time

from daemon import children_of, until


def on_demand(daemon):
    program = daemon.program("filters", "on_demand")
    program.expect("started")
    program.expect("ready")
    return program


def asks(program):
    program.go()
    program.expect("ready")


def servers(daemon):
    return children_of(daemon.pid)


def test_answers_about_itself(daemon):
    assert daemon.ask("version") == "version 1.0.0"
    assert daemon.ask("status") == "status 0"
    program = on_demand(daemon)
    assert daemon.adopt() == "adopted 1"
    assert daemon.ask("status") == "status 1"
    asks(program)


def test_drains(daemon):
    program = on_demand(daemon)
    assert daemon.adopt() == "adopted 1"
    assert daemon.ask("drain") == "draining 1"
    until(lambda: not os.path.exists(daemon.socket), "the socket is gone")
    asks(program)
    assert daemon.daemon.poll() is None
    program.close()
    assert daemon.daemon.wait(10) == 0


def test_refuses_bad_requests(daemon):
    daemon.may_say.append("cannot adopt /nowhere/cgroup.procs")
    long = "/" + "a" * 5000 + "/cgroup.procs"
    for line in ("", "hello", "adopt", "adopt ", "adopt relative/cgroup.procs", "adopt /etc/passwd", "VERSION",
                 "adopt /sys/../cgroup.procs", "adopt " + long, "x" * 100000, "version\0", "adopt /nowhere/cgroup.procs"):
        with daemon.connect() as connection:
            try:
                connection.sendall(line.encode() + b"\n")
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = connection.makefile().readline()
            assert answer.startswith("error "), (line[:40], answer)
    assert daemon.ask("version") == "version 1.0.0"


def test_takes_requests_in_pieces_and_several_at_once(daemon):
    with daemon.connect() as connection:
        lines = connection.makefile()
        for piece in (b"ver", b"sion\nstat", b"us\nversion\n"):
            connection.sendall(piece)
            time.sleep(0.02)
        assert [lines.readline() for _ in range(3)] == ["version 1.0.0\n", "status 0\n", "version 1.0.0\n"]


def test_has_a_limit_for_clients(daemon):
    connections = [daemon.connect() for _ in range(64)]
    for connection in connections:
        connection.sendall(b"version\n")
        assert connection.recv(100) == b"version 1.0.0\n"
    with daemon.connect() as one_more:
        assert one_more.recv(100) == b"error too many clients\n"
    for connection in connections:
        connection.close()
    until(lambda: daemon.ask("version") == "version 1.0.0", "there is room again")


def test_serves_only_root(daemon):
    assert os.stat(daemon.socket).st_mode & 0o777 == 0o600
    os.chmod(daemon.socket, 0o666)
    os.chmod(daemon.dir, 0o755)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(daemon.socket)
            os.write(write, connection.recv(100))
        os._exit(0)
    os.close(write)
    assert os.read(read, 100) == b"error only root may ask\n"
    os.close(read)
    os.waitpid(pid, 0)


def test_an_empty_cgroup_has_nothing_to_adopt(daemon):
    assert daemon.adopt() == "adopted 0"
    assert daemon.ask("status") == "status 0"


def test_adopts_fifty_processes(daemon):
    programs = [on_demand(daemon) for _ in range(50)]
    begin = time.monotonic()
    assert daemon.adopt() == "adopted 50"
    print(f"      fifty in {(time.monotonic() - begin) * 1000:.0f} ms")
    daemon.assert_no_listeners()
    for program in programs:
        asks(program)
    assert len(servers(daemon)) == 1


def test_a_second_adoption_adds_to_the_first(daemon):
    first = on_demand(daemon)
    assert daemon.adopt() == "adopted 1"
    second = on_demand(daemon)
    assert daemon.adopt() == "adopted 1"
    assert daemon.adopt() == "adopted 0"
    asks(first)
    asks(second)
    assert daemon.ask("status") == "status 1"


def test_a_killed_server_is_replaced(daemon):
    daemon.may_say.append("ended with status")
    program = on_demand(daemon)
    daemon.adopt()
    for _ in range(3):
        os.kill(servers(daemon)[0], signal.SIGKILL)
        asks(program)
    until(lambda: len(servers(daemon)) == 1, "a server is there")


def test_a_server_killed_at_any_time_leaves_no_call_unanswered(daemon):
    daemon.may_say.append("ended with status")
    program = daemon.program("memory", daemon.memory, daemon.other, "threads")
    program.expect("ready")
    daemon.adopt()
    program.go()
    # Also several times within one call, which is not to blame for it.
    for kill in range(12):
        pid = until(lambda: program.process.poll() is not None or servers(daemon), "a server is there")
        if pid is True:
            break
        time.sleep(kill % 4 * 0.0005)
        os.kill(pid[0], signal.SIGKILL)
        until(lambda: servers(daemon) != pid, "it has ended")
    program.expect("ok")
    program.ended()


def test_goes_on_without_its_parent(daemon):
    program = on_demand(daemon)
    daemon.adopt()
    pid, = servers(daemon)
    daemon.daemon.kill()
    daemon.daemon.wait()
    asks(program)
    asks(program)
    daemon.start()
    assert daemon.adopt() == "adopted 0"
    asks(program)
    program.close()
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the old server has ended")


def test_goes_on_after_a_shutdown(daemon):
    program = on_demand(daemon)
    daemon.adopt()
    pid, = servers(daemon)
    daemon.daemon.terminate()
    assert daemon.daemon.wait(5) == 0
    asks(program)
    program.close()
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the server has ended")
    daemon.start()


def test_ends_with_its_sandbox(daemon):
    program = on_demand(daemon)
    daemon.adopt()
    assert len(servers(daemon)) == 1
    program.close()
    until(lambda: not servers(daemon), "the server has ended")
    assert daemon.ask("status") == "status 0"
