"""
The sandbox's environment: what a new process of the user gets. A sandbox that was restored has another one than the
checkpoint's, which only its guest knows. See docs/guest-protocol.md.
"""

from __future__ import annotations

import asyncio
import os
import struct
from typing import Mapping

from .kernel import USER

_SOCKET = "/.ramet/guest.sock"
_GENERATION = "/.ramet/generation"
_VERSION, _ENVIRONMENT = 1, 17
_REQUEST, _OK, _DATA, _END = 0x01, 0x81, 0x85, 0x86
_TRIES, _PAUSE_SECONDS = 50, 0.1
_OF_A_PROCESS = ("_", "PWD", "OLDPWD", "SHLVL")


def identity() -> tuple[str | int, ...]:
    """Another whenever the guest has been told one: the host name is the sandbox's id, and the file is written anew."""
    name = os.uname().nodename
    try:
        generation = os.stat(_GENERATION)
    except OSError:
        return (name,)
    return name, generation.st_ino, generation.st_mtime_ns


class Environment:
    def __init__(self) -> None:
        self._of: tuple[str | int, ...] = ()
        self._values: dict[str, str] = {}
        self._reading = asyncio.Lock()

    async def read(self) -> Mapping[str, str]:
        """Asks again when the sandbox has another identity than the last time."""
        async with self._reading:
            now = identity()
            if now != self._of:
                # As the commands that E2B's clients run have it.
                self._values = await _ask() | {"E2B_SANDBOX": "true", "E2B_SANDBOX_ID": str(now[0])}
                self._of = now
            return self._values


async def _ask() -> dict[str, str]:
    """While a checkpoint is taken, the guest closes what is open."""
    for left in reversed(range(_TRIES)):
        try:
            return await asyncio.wait_for(_ask_once(), 5.0)
        except (OSError, EOFError, asyncio.TimeoutError):
            if left == 0:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError("unreachable")


async def _ask_once() -> dict[str, str]:
    reader, writer = await asyncio.open_unix_connection(_SOCKET)
    try:
        user = USER.encode()
        request = struct.pack("<HHI", _VERSION, _ENVIRONMENT, len(user)) + user
        writer.write(struct.pack("<IBxxx", len(request), _REQUEST) + request)
        text = b""
        while True:
            length, kind = struct.unpack("<IBxxx", await reader.readexactly(8))
            payload = await reader.readexactly(length)
            if kind == _DATA:
                text += payload
            elif kind == _END:
                break
            elif kind != _OK:
                raise OSError(f"the guest does not tell the environment: frame {kind}, {payload!r}")
    finally:
        writer.close()
    pairs = (item.partition("=") for item in text.decode(errors="surrogateescape").split("\0") if item)
    return {name: value for name, _, value in pairs if name not in _OF_A_PROCESS}
