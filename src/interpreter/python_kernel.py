"""Python: ipykernel, spoken to on unix sockets, which need no network and survive a restore."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import uuid
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from pwd import getpwnam
from typing import Any, Mapping

from jupyter_client.connect import write_connection_file

from . import records
from .channels import Channels
from .kernel import USER, Emit, KernelEnded, Task, how_it_ended, kill, send_signal, spawn

_PROGRAM = str(Path(__file__).parent / "kernels" / "python.py")
_START_SECONDS = 60.0
_SECOND_END_SECONDS = 5.0
"""The end of a run comes on two sockets; the second is not waited for longer: code may have closed it."""
_ASK_AGAIN_SECONDS = 0.5


class PythonKernel:
    def __init__(self, warm: bool = False) -> None:
        """`warm`: what most programs import is imported before it counts as started."""
        self._warm = warm
        self._directory = ""
        self._process: Process | None = None
        self._channels: Channels | None = None
        self._run: _Run | None = None

    async def start(self, env: Mapping[str, str], cwd: str) -> None:
        self._directory = tempfile.mkdtemp(prefix="kernel-")
        if os.getuid() == 0:
            os.chown(self._directory, getpwnam(USER).pw_uid, getpwnam(USER).pw_gid)
        path, _ = write_connection_file(
            os.path.join(self._directory, "connection.json"),
            transport="ipc",
            ip=os.path.join(self._directory, "socket"),
            key=uuid.uuid4().hex.encode(),
        )
        if os.getuid() == 0:
            os.chown(path, getpwnam(USER).pw_uid, getpwnam(USER).pw_gid)
        argv = [sys.executable, _PROGRAM, *(["--warm"] if self._warm else []), "-f", path]
        self._process = await spawn(argv, env, cwd, stdin=DEVNULL, stdout=DEVNULL, stderr=None)
        self._channels = Channels(path, self._heard, self._replied)
        try:
            await asyncio.wait_for(self._until_it_answers(self._process, self._channels), _START_SECONDS)
        except asyncio.TimeoutError as cause:
            raise KernelEnded(f"the Python kernel did not answer within {_START_SECONDS:.0f} s") from cause

    async def _until_it_answers(self, process: Process, channels: Channels) -> None:
        """On both sockets. What it says before it knows that somebody listens is lost, so it is asked again."""
        ended = asyncio.create_task(process.wait())
        try:
            while not ended.done():
                self._run = _Run(lambda record: None)
                channels.request("kernel_info_request", {})
                answered = asyncio.create_task(self._run.both())
                await asyncio.wait([ended, answered], timeout=_ASK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                answered.cancel()
                if answered.done() and not answered.cancelled():
                    return
            raise KernelEnded(f"the Python kernel did not start: {how_it_ended(process)}")
        finally:
            ended.cancel()
            self._run = None

    async def run(self, task: Task, emit: Emit) -> None:
        process, channels = self._process, self._channels
        if process is None or channels is None or process.returncode is not None:
            raise KernelEnded("the Python kernel is gone")
        content = {
            "code": task.code,
            "silent": task.is_silent,
            "store_history": not task.is_silent,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        metadata = {"ramet": {"env": dict(task.env), "base": dict(task.base)}}
        self._run = _Run(emit)
        channels.request("execute_request", content, metadata)
        ended = asyncio.create_task(process.wait())
        over = asyncio.create_task(self._run.wait())
        try:
            await asyncio.wait([ended, over], return_when=asyncio.FIRST_COMPLETED)
            if not over.done():
                raise KernelEnded(f"the Python kernel has ended: {how_it_ended(process)}")
        finally:
            ended.cancel()
            over.cancel()
            self._run = None

    def interrupt(self) -> None:
        send_signal(self._process, signal.SIGINT)

    async def stop(self) -> None:
        if self._channels is not None:
            self._channels.close()
        await kill(self._process)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _heard(self, kind: str, header: Mapping[str, Any], content: Mapping[str, Any]) -> None:
        run = self._run
        if run is None:
            return
        match kind:
            case "execute_input":
                run.emit(records.count(content["execution_count"]))
            case "stream":
                run.emit(records.stream(content["name"], content["text"], _moment(header["date"])))
            case "display_data" | "execute_result":
                run.emit(records.result(content["data"], kind == "execute_result"))
            case "error":
                run.fail(content)
            case "status" if content["execution_state"] == "idle":
                run.idle.set()

    def _replied(self, _kind: str, _header: Mapping[str, Any], content: Mapping[str, Any]) -> None:
        if self._run is None:
            return
        if content.get("status") == "error":
            self._run.error = content
        self._run.replied.set()


def _moment(date: str) -> str:
    """As Python's own ISO 8601, which has no Z."""
    return f"{date[:-1]}+00:00" if date.endswith("Z") else date


class _Run:
    def __init__(self, emit: Emit) -> None:
        self.emit = emit
        self.idle = asyncio.Event()
        self.replied = asyncio.Event()
        self.error: Mapping[str, Any] | None = None
        self._failed = False

    async def both(self) -> None:
        await self.replied.wait()
        await self.idle.wait()

    async def wait(self) -> None:
        await self.replied.wait()
        try:
            await asyncio.wait_for(self.idle.wait(), _SECOND_END_SECONDS)
        except asyncio.TimeoutError:
            pass
        if self.error is not None:
            self.fail(self.error)

    def fail(self, content: Mapping[str, Any]) -> None:
        """Told on both sockets, and passed on once."""
        if self._failed:
            return
        self._failed = True
        self.emit(records.error(content["ename"], content["evalue"], "\n".join(content["traceback"])))
