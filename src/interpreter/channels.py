"""What is said to an ipykernel and what it says, on the two sockets that its client connects."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Callable, Mapping

import zmq
from jupyter_client.connect import ConnectionFileMixin
from jupyter_client.session import DELIM

Take = Callable[[str, Mapping[str, Any], Mapping[str, Any]], None]
"""Of a message: its type, its header and its content."""

_MESSAGES_MAX = 100
"""That wait here; then the kernel waits. So many are read at a time, too."""


class Channels:
    """
    The sockets are read as they are: jupyter_client's own reading makes dates of all times in a message and a future of
    each, which is half of the time that a short run takes in the server.
    """

    def __init__(self, connection_file: str, heard: Take, replied: Take) -> None:
        """`heard` gets what the kernel tells everybody, `replied` its answers; both only of the last request."""
        self._context = zmq.Context()
        self._context.setsockopt(zmq.RCVHWM, _MESSAGES_MAX)
        client = ConnectionFileMixin()
        client.context = self._context
        client.load_connection_file(connection_file)
        self._session = client.session
        self._about = ""
        self._shell = client.connect_shell()
        self._take = {client.connect_iopub(): heard, self._shell: replied}
        for socket in self._take:
            asyncio.get_running_loop().add_reader(socket.fileno(), self._read, socket)

    def request(self, kind: str, content: Mapping[str, Any], metadata: Mapping[str, Any] = {}) -> None:
        """What is still said of the one before is dropped from here on."""
        message = self._session.msg(kind, dict(content), metadata=dict(metadata))
        self._about = message["header"]["msg_id"]
        self._session.send(self._shell, message)
        # Its descriptor tells of a change once; sending may have seen it.
        asyncio.get_running_loop().call_soon(self._read, self._shell)

    def _read(self, socket: zmq.Socket[bytes]) -> None:
        for _ in range(_MESSAGES_MAX):
            if socket.closed:
                return
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._pass_on(frames, self._take[socket])
        asyncio.get_running_loop().call_soon(self._read, socket)

    def _pass_on(self, frames: list[bytes], take: Take) -> None:
        """
        Code can send what is no message, or nested too deep for a reader or writer of JSON: that is dropped. Whatever is
        thrown would end the reading for good, as the descriptor tells of a change once.
        """
        try:
            at = frames.index(DELIM)
            header, parent, _metadata, content = map(json.loads, frames[at + 2 : at + 6])
            if parent.get("msg_id") == self._about:
                take(header["msg_type"], header, content)
        except Exception:
            return

    def close(self) -> None:
        """Once more is no harm."""
        for socket in self._take:
            asyncio.get_running_loop().remove_reader(socket.fileno())
        self._take = {}
        self._context.destroy(linger=0)
