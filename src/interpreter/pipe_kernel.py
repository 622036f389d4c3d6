"""JavaScript and bash: programs of ours that are told what to run on one pipe and report on another."""

from __future__ import annotations

import array
import asyncio
import fcntl
import json
import os
import re
import shlex
import signal
import termios
from asyncio.subprocess import DEVNULL, PIPE, Process
from codecs import getincrementaldecoder
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from . import records
from .kernel import Emit, KernelEnded, Task, how_it_ended, kill, send_signal, spawn

_KERNELS = Path(__file__).parent / "kernels"
_CHUNK = 65_536
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class PipeKernel:
    def __init__(self, program: Sequence[str], more: Sequence[str], encode: Callable[[Task], bytes]) -> None:
        """Its arguments are the two descriptors, and `more`; it reports once as soon as it is ready."""
        self._program = program
        self._more = more
        self._encode = encode
        self._process: Process | None = None
        self._count = 0
        self._commands = -1
        self._pipes: list[_Pipe] = []
        self._emit: Emit | None = None
        self._done: asyncio.Future[int] | None = None
        self._reported = b""

    async def start(self, env: Mapping[str, str], cwd: str) -> None:
        theirs: list[int] = []
        try:
            command_end, self._commands = os.pipe()
            theirs.append(command_end)
            for take in (self._control, self._output("stdout"), self._output("stderr")):
                mine, their = os.pipe()
                theirs.append(their)
                self._pipes.append(_Pipe(mine, take))
            commands, control, stdout, stderr = theirs
            argv = [*self._program, str(commands), str(control), *self._more]
            self._done = asyncio.get_running_loop().create_future()
            self._process = await spawn(
                argv, env, cwd, stdin=DEVNULL, stdout=stdout, stderr=stderr, pass_fds=(commands, control)
            )
        except BaseException:
            self._close()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        await self._until_done(self._process)

    async def run(self, task: Task, emit: Emit) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            raise KernelEnded("the kernel is gone")
        if not task.is_silent:
            self._count += 1
            emit(records.count(self._count))
        self._done = asyncio.get_running_loop().create_future()
        self._emit = emit
        try:
            writing = asyncio.get_running_loop().run_in_executor(None, _write, self._commands, self._encode(task))
            await self._until_done(process)
            await writing
            status = self._done.result()
            if status != 0:
                emit(records.error("ExitStatus", str(status)))
        finally:
            self._emit = None

    async def _until_done(self, process: Process) -> None:
        assert self._done is not None
        ended = asyncio.create_task(process.wait())
        await asyncio.wait([ended, self._done], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        # What was written before it reported is in the pipes by now.
        for pipe in self._pipes:
            pipe.drain()
        if not self._done.done():
            raise KernelEnded(f"the kernel has ended: {how_it_ended(process)}")

    def interrupt(self) -> None:
        send_signal(self._process, signal.SIGINT)

    async def stop(self) -> None:
        await kill(self._process)
        self._close()

    def _close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        self._pipes = []
        if self._commands >= 0:
            os.close(self._commands)
        self._commands = -1

    def _control(self, data: bytes) -> None:
        *lines, self._reported = (self._reported + data).split(b"\n")
        for line in lines:
            # Code can write there as well: what is no report is dropped, and not what follows it.
            with suppress(Exception):
                self._report(json.loads(line))

    def _report(self, report: Mapping[str, Any]) -> None:
        if self._emit is not None and "result" in report:
            self._emit(records.result(report["result"], True))
        if self._emit is not None and "error" in report:
            self._emit(records.error(**report["error"]))
        if "done" in report and self._done is not None and not self._done.done():
            self._done.set_result(report["done"])

    def _output(self, name: str) -> Callable[[bytes], None]:
        decoder = getincrementaldecoder("utf-8")("replace")

        def take(data: bytes) -> None:
            text = decoder.decode(data)
            if text and self._emit is not None:
                self._emit(records.stream(name, text, datetime.now(timezone.utc).isoformat()))

        return take


class _Pipe:
    """Read as it comes, by the event loop."""

    def __init__(self, descriptor: int, take: Callable[[bytes], None]) -> None:
        self._descriptor = descriptor
        self._take = take
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def drain(self) -> None:
        """What is in it now: something that still runs may write all the time."""
        left = _waiting(self._descriptor) if self._descriptor >= 0 else 0
        while self._descriptor >= 0 and left > 0:
            left -= self._read() or left

    def _read(self) -> int:
        """How much it was."""
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return 0
        if data:
            self._take(data)
        else:
            self.close()
        return len(data)

    def close(self) -> None:
        if self._descriptor < 0:
            return
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1


def _waiting(descriptor: int) -> int:
    size = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, size)
    return size[0]


def _write(descriptor: int, data: bytes) -> None:
    """A kernel that has ended does not read it; that is seen elsewhere."""
    try:
        for start in range(0, len(data), _CHUNK):
            chunk = data[start : start + _CHUNK]
            while chunk:
                chunk = chunk[os.write(descriptor, chunk) :]
    except OSError:
        pass


def javascript_kernel(is_typescript: bool) -> PipeKernel:
    def encode(task: Task) -> bytes:
        message = {"code": task.code, "env": dict(task.env), "base": dict(task.base)}
        return json.dumps(message).encode() + b"\n"

    language = ["typescript"] if is_typescript else []
    # With the first, code of a vm.Script may import; the second leaves out that this is an experiment.
    options = ["--experimental-vm-modules", "--no-warnings"]
    return PipeKernel(["node", *options, str(_KERNELS / "javascript.cjs")], language, encode)


def bash_kernel() -> PipeKernel:
    def encode(task: Task) -> bytes:
        # A shell takes no other names, and would tell each run that it does not.
        base = {name: value for name, value in task.base.items() if _SHELL_NAME.fullmatch(name)}
        lines = [f"export {name}={shlex.quote(value)}" for name, value in base.items()]
        lines += [f"__ramet_set {name} {shlex.quote(value)}" for name, value in task.env.items()]
        before = "".join(f"{line}; " for line in lines)
        return (before + task.code).encode() + b"\0"

    return PipeKernel(["bash", str(_KERNELS / "bash.sh")], [], encode)
