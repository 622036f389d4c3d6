"""Python: ipykernel, spoken to through jupyter_client on unix sockets, which need no network and survive a restore."""

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

import zmq
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.connect import write_connection_file

from . import records
from .kernel import USER, Emit, KernelEnded, Task, how_it_ended, kill, send_signal, spawn

_PROGRAM = str(Path(__file__).parent / "kernels" / "python.py")
_START_SECONDS = 60.0
_SECOND_END_SECONDS = 5.0
"""The end of a run comes on two sockets; the second is not waited for longer: code may have closed it."""
_MESSAGES_MAX = 100
"""That wait here; then the kernel waits."""


class PythonKernel:
    def __init__(self, warm: bool = False) -> None:
        """`warm`: what most programs import is imported before it counts as started."""
        self._warm = warm
        self._directory = ""
        self._process: Process | None = None
        self._client: Any = None
        self._readers: list[asyncio.Task[None]] = []
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
        self._client = AsyncKernelClient()
        self._client.context.setsockopt(zmq.RCVHWM, _MESSAGES_MAX)
        self._client.load_connection_file(path)
        self._client.start_channels(stdin=False, hb=False)
        await self._wait_until_it_answers(self._process)
        self._readers = [
            asyncio.create_task(self._read(self._client.iopub_channel, self._heard)),
            asyncio.create_task(self._read(self._client.shell_channel, self._replied)),
        ]

    async def _wait_until_it_answers(self, process: Process) -> None:
        ready = asyncio.create_task(self._client.wait_for_ready(timeout=_START_SECONDS))
        ended = asyncio.create_task(process.wait())
        await asyncio.wait([ready, ended], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not ready.done():
            ready.cancel()
            raise KernelEnded(f"the Python kernel did not start: {how_it_ended(process)}")
        ready.result()

    async def run(self, task: Task, emit: Emit) -> None:
        process, client = self._process, self._client
        if process is None or process.returncode is not None:
            raise KernelEnded("the Python kernel is gone")
        content = {
            "code": task.code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        metadata = {"ramet": {"env": dict(task.env), "base": dict(task.base)}}
        message = client.session.msg("execute_request", content, metadata=metadata)
        self._run = _Run(message["header"]["msg_id"], emit)
        client.shell_channel.send(message)
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
        for reader in self._readers:
            reader.cancel()
        await kill(self._process)
        if self._client is not None:
            self._client.stop_channels()
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _read(self, channel: Any, take: Any) -> None:
        while True:
            message = await channel.get_msg()
            run = self._run
            if run is not None and message["parent_header"].get("msg_id") == run.id:
                take(run, message)

    def _heard(self, run: _Run, message: Mapping[str, Any]) -> None:
        content = message["content"]
        match message["msg_type"]:
            case "execute_input":
                run.emit(records.count(content["execution_count"]))
            case "stream":
                run.emit(records.stream(content["name"], content["text"], message["header"]["date"].isoformat()))
            case "display_data" | "execute_result" as kind:
                run.emit(records.result(content["data"], kind == "execute_result"))
            case "error":
                run.fail(content)
            case "status" if content["execution_state"] == "idle":
                run.idle.set()

    def _replied(self, run: _Run, message: Mapping[str, Any]) -> None:
        if message["content"].get("status") == "error":
            run.error = message["content"]
        run.replied.set()


class _Run:
    def __init__(self, id: str, emit: Emit) -> None:
        self.id = id
        self.emit = emit
        self.idle = asyncio.Event()
        self.replied = asyncio.Event()
        self.error: Mapping[str, Any] | None = None
        self._failed = False

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
