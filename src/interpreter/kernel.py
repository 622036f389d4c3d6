"""What runs code: one process with a state of its own."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
from asyncio.subprocess import Process, create_subprocess_exec
from dataclasses import dataclass, field
from subprocess import SubprocessError
from typing import Any, Callable, Mapping, Protocol, Sequence

from .records import Record

USER = "user"

Emit = Callable[[Record], None]


@dataclass(frozen=True)
class Task:
    """One run: `base` is what the sandbox's environment has become, `env` is for this run alone."""

    code: str
    env: Mapping[str, str] = field(default_factory=dict)
    base: Mapping[str, str] = field(default_factory=dict)
    is_silent: bool = False
    """It is not counted, and leaves nothing in the kernel's history."""


class KernelEnded(Exception):
    """The process is gone; its text says how."""


class CannotStart(Exception):
    """No such directory, or none that the user may enter."""


class Kernel(Protocol):
    async def start(self, env: Mapping[str, str], cwd: str) -> None:
        """Raises CannotStart."""

    async def run(self, task: Task, emit: Emit) -> None:
        """To its end; what the code does wrong is a record. Raises KernelEnded."""

    def interrupt(self) -> None: ...

    async def stop(self) -> None:
        """Kills it, with all that it has started in its process group."""


_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


async def spawn(argv: Sequence[str], env: Mapping[str, str], cwd: str, **options: Any) -> Process:
    """As the user, in a session of its own; it ends with the server."""

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.chdir(cwd)

    account = pwd.getpwnam(USER)
    who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
    try:
        return await create_subprocess_exec(
            *argv, env=dict(env), start_new_session=True, preexec_fn=prepare, **who, **options
        )
    except (OSError, SubprocessError) as cause:
        why = f"there is no such directory, or {USER} may not enter it"
        raise CannotStart(f"{argv[0]} cannot start in {cwd}: {why}") from cause


def send_signal(process: Process | None, number: signal.Signals) -> None:
    """To its whole group."""
    if process is None or process.returncode is not None:
        return
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


async def kill(process: Process | None) -> None:
    if process is None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    await process.wait()


def how_it_ended(process: Process) -> str:
    code = process.returncode or 0
    if code == -signal.SIGKILL:
        return "it was killed, perhaps because the sandbox ran out of memory"
    return f"it was ended by signal {-code}" if code < 0 else f"it exited with {code}"
