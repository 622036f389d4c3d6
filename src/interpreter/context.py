"""A context: a kernel with a name, which runs one piece of code after the other."""

from __future__ import annotations

import asyncio
import uuid
from typing import Callable, Mapping

from . import records
from .environment import Environment
from .kernel import CannotStart, Kernel, KernelEnded, Task
from .run import Run

INTERRUPT_SECONDS = 1.0
INTERRUPTS = 10
"""A run whose client has left is interrupted so often before its kernel is started anew."""
WAITING_MAX = 100
REMOVED = records.error("ContextRemoved", "the context was removed")


class Context:
    def __init__(self, language: str, cwd: str, make: Callable[[], Kernel], environment: Environment) -> None:
        self.id = str(uuid.uuid4())
        self.language = language
        self.cwd = cwd
        self.waiting = 0
        self._make = make
        self._environment = environment
        self._kernel = make()
        self._given: Mapping[str, str] = {}
        self._turn = asyncio.Lock()
        self._changing = asyncio.Lock()
        """Held while the kernel is replaced or stopped: it is started once, and none is left over."""
        self._is_removed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises CannotStart, KernelEnded."""
        self._given = await self._environment.read()
        try:
            await self._kernel.start(self._given, self.cwd)
        except BaseException:
            await self._kernel.stop()
            raise

    async def warm_up(self, code: str) -> None:
        """Runs it as if it had not been run: all that a first run needs more than others is done."""
        run = self.begin(code, {}, is_silent=True)
        is_over = False
        while not is_over:
            _, is_over = await run.read(INTERRUPT_SECONDS)

    def begin(self, code: str, env: Mapping[str, str], is_silent: bool = False) -> Run:
        """Runs it when it is its turn; what comes of it is in what is given back, which is ended in any case."""
        run = Run()
        self.waiting += 1
        task = asyncio.create_task(self._take_turn(run, code, env, is_silent))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run

    async def _take_turn(self, run: Run, code: str, env: Mapping[str, str], is_silent: bool) -> None:
        try:
            async with self._turn:
                if self._is_removed:
                    run.emit(REMOVED)
                elif not run.is_left:
                    await self._run(run, code, env, is_silent)
        except (CannotStart, KernelEnded, OSError) as thrown:
            run.emit(records.error("KernelError", str(thrown)))
        finally:
            self.waiting -= 1
            run.end()

    async def _run(self, run: Run, code: str, env: Mapping[str, str], is_silent: bool) -> None:
        async with self._changing:
            kernel = self._kernel
            now = self._given if is_silent else await self._environment.read()
            base = {name: value for name, value in now.items() if self._given.get(name) != value}
            self._given = now
        guard = asyncio.create_task(self._interrupt_when_abandoned(run, kernel))
        try:
            await kernel.run(Task(code, env, base, is_silent), run.emit)
        except KernelEnded as ended:
            if self._is_removed:
                run.emit(REMOVED)
            elif kernel is self._kernel:
                lost = "the context was restarted and has lost its state"
                run.emit(records.error("ContextRestarting", f"{ended}; {lost}"))
                await self._replace(kernel)
            else:
                run.emit(records.error("ContextRestarting", "the context was restarted"))
        finally:
            guard.cancel()

    async def _interrupt_when_abandoned(self, run: Run, kernel: Kernel) -> None:
        await run.abandoned.wait()
        for _ in range(INTERRUPTS):
            kernel.interrupt()
            await asyncio.sleep(INTERRUPT_SECONDS)
        await kernel.stop()

    async def restart(self) -> None:
        """What runs ends with an error. Raises CannotStart, KernelEnded."""
        await self._replace(self._kernel)

    async def _replace(self, old: Kernel) -> None:
        """Once, however many ask; all of them wait for the kernel that takes its place."""
        async with self._changing:
            if self._is_removed or self._kernel is not old:
                return
            self._kernel = self._make()
            await old.stop()
            await self.start()

    async def stop(self) -> None:
        """For good."""
        self._is_removed = True
        async with self._changing:
            await self._kernel.stop()
