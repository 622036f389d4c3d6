"""A process that has something open of every kind. Usage: kinds.py RESULT [namespace]"""
import ctypes
import mmap
import os
import resource
import select
import signal
import socket
import sys

result = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
kept = []


def keep(value):
    if value == -1:
        raise OSError(ctypes.get_errno(), "a call has failed")
    kept.append(value)
    return value


def path(name):
    return f"{result}.{name}"


def files():
    keep(open(path("written"), "a+")).write("text")
    keep(os.open(path("written"), os.O_RDONLY | os.O_CLOEXEC))
    keep(os.open(os.path.dirname(result), os.O_RDONLY | os.O_DIRECTORY))
    deleted = keep(open(path("deleted"), "w+b", buffering=0))
    deleted.write(bytes(range(256)) * 40)
    os.unlink(path("deleted"))
    os.mkfifo(path("fifo"))
    os.write(keep(os.open(path("fifo"), os.O_RDWR)), b"in the fifo")


def pipes():
    for _ in range(2):
        reader, writer = os.pipe()
        os.write(keep(writer), b"in the pipe")
        keep(reader)


def sockets():
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        one.send(b"in the queue")
        keep((one, other))
    listening = keep(socket.socket(socket.AF_UNIX))
    listening.bind(path("socket"))
    listening.listen()
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        datagrams = keep(socket.socket(family, socket.SOCK_DGRAM))
        datagrams.bind((address, 0))
        connections = keep(socket.socket(family))
        connections.bind((address, 0))
        connections.listen()
    keep(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))


def events():
    event = keep(os.eventfd(3))
    poll = keep(select.epoll())
    poll.register(event, select.EPOLLIN)
    timer = keep(libc.timerfd_create(1, 0))
    spec = (ctypes.c_long * 4)(0, 0, 3600, 0)
    keep(libc.timerfd_settime(timer, 0, spec, None))
    mask = (ctypes.c_ulong * 16)(1 << (signal.SIGUSR2 - 1))
    keep(libc.signalfd(-1, mask, 0))
    signal.setitimer(signal.ITIMER_REAL, 3600, 60)
    signal.signal(signal.SIGALRM, lambda *_: None)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def memory():
    shared = keep(mmap.mmap(-1, 1 << 20))
    shared[4096:8192] = b"x" * 4096
    memfd = keep(os.memfd_create("kinds"))
    os.ftruncate(memfd, 1 << 16)
    keep(mmap.mmap(memfd, 1 << 16))[0:4096] = b"y" * 4096
    with open(path("mapped"), "w+b") as file:
        file.write(b"z" * 8192)
        file.flush()
        keep(mmap.mmap(file.fileno(), 8192))
        keep(mmap.mmap(file.fileno(), 8192, access=mmap.ACCESS_COPY))[0:2] = b"zz"


def system_v():
    semaphores = keep(libc.semget(0, 3, 0o1600))
    keep(libc.semctl(semaphores, 1, 16, 5))
    queue = keep(libc.msgget(0, 0o1600))
    keep(libc.msgsnd(queue, ctypes.create_string_buffer(b"\1\0\0\0\0\0\0\0a message"), 9, 0))


def processes():
    if os.fork() == 0:
        os._exit(3)
    if os.fork() == 0:
        os.setsid()
        while True:
            signal.sigwait([signal.SIGUSR1])


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2])
for prepare in (files, pipes, sockets, events, memory):
    prepare()
if "namespace" in sys.argv:
    system_v()
processes()
open(path("ready"), "w").close()
while True:
    signal.sigwait([signal.SIGUSR1])
