"""What comes of one piece of code, until its client has read it."""

from __future__ import annotations

import asyncio
from collections import deque

from . import records
from .records import Record

UNREAD_BYTES_MAX = 64 * 1024 * 1024
"""What a client has not read yet of one run; beyond it, the run is interrupted."""


class Run:
    def __init__(self) -> None:
        self.is_left = False
        """Its client has left."""
        self.abandoned = asyncio.Event()
        """It is to be interrupted: its client has left, or does not read."""
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._is_over = False
        self._is_cut = False

    def emit(self, record: Record) -> None:
        if self._is_over or self._is_cut:
            return
        line = records.line(record)
        if self._bytes + len(line) > UNREAD_BYTES_MAX:
            self._is_cut = True
            self.abandoned.set()
            limit = f"more than {UNREAD_BYTES_MAX >> 20} MiB of output were not read yet: the run was interrupted"
            line = records.line(records.error("OutputLimit", limit))
        self._lines.append(line)
        self._bytes += len(line)
        self._news.set()

    def end(self) -> None:
        if not self._is_over:
            self._lines.append(records.line(records.END))
        self._is_over = True
        self._news.set()

    def leave(self) -> None:
        self.is_left = True
        self.abandoned.set()
        self._news.set()

    async def read(self, timeout: float) -> tuple[bytes, bool]:
        """Whole lines, and whether they are the last ones; none when the time is up."""
        if not self._lines:
            try:
                await asyncio.wait_for(self._news.wait(), timeout)
            except asyncio.TimeoutError:
                return b"", False
        self._news.clear()
        data = b"".join(self._lines)
        self._lines.clear()
        self._bytes = 0
        return data, self._is_over
