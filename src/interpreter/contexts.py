"""All contexts of the sandbox."""

from __future__ import annotations

import asyncio
from typing import Callable

from .context import Context
from .environment import Environment, identity
from .kernel import Kernel
from .pipe_kernel import bash_kernel, javascript_kernel
from .python_kernel import PythonKernel

HOME = "/home/user"
CONTEXTS_MAX = 64

_SHORT = {"py": "python", "js": "javascript", "ts": "typescript", "sh": "bash"}
_WARM = {"python": "__import__('IPython').display.display(1)", "javascript": "1 + 1"}
"""Those that are there from the start, and what they run first, in silence."""
_KERNELS: dict[str, Callable[[], Kernel]] = {
    "python": PythonKernel,
    "javascript": lambda: javascript_kernel(is_typescript=False),
    "typescript": lambda: javascript_kernel(is_typescript=True),
    "bash": bash_kernel,
}


class UnknownLanguage(Exception):
    pass


class UnknownContext(Exception):
    pass


class TooMany(Exception):
    pass


class Contexts:
    def __init__(self) -> None:
        self._environment = Environment()
        self._all: dict[str, Context] = {}
        self._defaults: dict[str, Context] = {}
        self._making: dict[str, asyncio.Lock] = {language: asyncio.Lock() for language in _KERNELS}
        self._starting = 0
        self._warm_as: tuple[str | int, ...] = ()

    async def start(self) -> None:
        """The default contexts that everybody has from the start, ready for use."""
        first, *others = _WARM
        self._defaults[first] = await self._add(first, HOME, lambda: PythonKernel(warm=True))
        for language in others:
            await self.default(language)
        await self.keep_warm()

    async def keep_warm(self) -> None:
        """
        Once in each sandbox that is restored, where somebody asks before it is used: what the kernels write to for a run
        is the sandbox's own memory then, and no longer to be copied from the checkpoint's.
        """
        if identity() == self._warm_as:
            return
        self._warm_as = identity()
        await self._environment.read()
        warm = [(self._defaults[language], code) for language, code in _WARM.items() if language in self._defaults]
        await asyncio.gather(*(context.warm_up(code) for context, code in warm if context.waiting == 0))

    def list(self) -> list[Context]:
        """The oldest first."""
        return list(self._all.values())

    def get(self, id: str) -> Context:
        if id not in self._all:
            raise UnknownContext(f"Context {id} not found")
        return self._all[id]

    async def default(self, language: str | None) -> Context:
        """The one for code that names none; it is made when it is first asked for."""
        name = _named(language)
        async with self._making[name]:
            if name not in self._defaults:
                self._defaults[name] = await self._add(name, HOME, _KERNELS[name])
            return self._defaults[name]

    async def create(self, language: str | None, cwd: str | None) -> Context:
        name = _named(language)
        return await self._add(name, cwd or HOME, _KERNELS[name])

    async def remove(self, id: str) -> None:
        context = self.get(id)
        del self._all[id]
        self._defaults = {name: one for name, one in self._defaults.items() if one is not context}
        await context.stop()

    async def _add(self, language: str, cwd: str, make: Callable[[], Kernel]) -> Context:
        if len(self._all) + self._starting >= CONTEXTS_MAX:
            raise TooMany(f"there are {CONTEXTS_MAX} contexts already: remove some")
        context = Context(language, cwd, make, self._environment)
        self._starting += 1
        try:
            await context.start()
        finally:
            self._starting -= 1
        self._all[context.id] = context
        return context


def _named(language: str | None) -> str:
    name = (language or "python").strip().lower()
    name = _SHORT.get(name, name)
    if name not in _KERNELS:
        raise UnknownLanguage(f"there is no kernel for {name}: there are {', '.join(_KERNELS)}")
    return name
