"""Standard output and error of the kernel's process, by whomever they are written: programs that the code starts, too."""

from __future__ import annotations

import array
import codecs
import fcntl
import os
import select
import termios
import threading

from ipykernel.iostream import OutStream

_CHUNK = 65_536
_LOOK_MS = 1_000
_LATE_BYTES_MAX = 1024 * 1024
_PIECE = 256 * 1024
"""Characters of one message. Clients read lines of it in time that grows with the square of their length."""


class WatchedStream(OutStream):
    """
    As ipykernel's, whose watch of the descriptor ends with the first bytes that are no UTF-8: nobody empties it then.
    What is more than a piece waits until it is sent, so that whoever writes is no faster than whoever reads.
    """

    _unsent = 0
    """Characters written since the last flush, or so: threads may miscount."""
    _written: object = None
    _sent: object = None
    """The last write, and the last that a flush has sent."""

    def write(self, string: str) -> int:
        if not isinstance(string, str) or self._unsent + len(string) < _PIECE:
            super().write(string)
            # Afterwards, or a flush of another thread in between would leave it behind as nothing to be sent.
            self._unsent += len(string)
            self._written = object()
            return len(string)
        for start in range(0, len(string), _PIECE):
            super().write(string[start : start + _PIECE])
            self._written = object()
            self.flush()
        return len(string)

    def flush(self) -> None:
        """ipykernel has ten for each run, and each waits for its other thread: only where there is something."""
        written = self._written
        if written is not self._sent:
            self._unsent = 0
            super().flush()
            # Only now: whoever finds nothing to be sent goes on, perhaps to the end of the run.
            self._sent = written

    def fileno(self) -> int:
        """What programs that are started with it write to; ipykernel's is where nobody looks."""
        return {"stdout": 1, "stderr": 2}[self.name]

    def close(self) -> None:
        """The kernel writes to it as well: a program that closes its own stays with an open one."""
        self.flush()

    def _setup_stream_redirects(self, name: str) -> None:
        self._passing = threading.Lock()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        super()._setup_stream_redirects(name)

    def _watch_pipe_fd(self) -> None:
        poll = select.poll()
        poll.register(self._fid, select.POLLIN)
        while self._should_watch:
            if poll.poll(_LOOK_MS):
                with self._passing:
                    self._pass_on()

    def catch_up(self) -> None:
        """Passes on what was written until now. What something writes all the time is not waited for."""
        with self._passing:
            passed = 0
            while passed < _LATE_BYTES_MAX and (more := self._pass_on()):
                passed += more

    def _pass_on(self) -> int:
        size = array.array("i", [0])
        fcntl.ioctl(self._fid, termios.FIONREAD, size)
        if size[0] == 0:
            return 0
        data = os.read(self._fid, min(size[0], _CHUNK))
        text = self._decoder.decode(data)
        if text and self.pub_thread is not None:
            self.write(text)
        return len(data)
