"""What the kernel sends: a message that could not be sent would leave its run without an end."""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

from jupyter_client.jsonutil import json_clean, json_default


def pack(content: Any) -> bytes:
    """Numbers that JSON does not have are told as text, and halves of characters (lone surrogates) as U+FFFD."""
    try:
        text = _dump(content)
    except (TypeError, ValueError):
        text = _dump(json_clean(content))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _dump(content: Any) -> str:
    return json.dumps(content, default=json_default, ensure_ascii=False, allow_nan=False)


class Streams:
    """Those of the kernel, which flushes whatever a program has put in their places."""

    def __init__(self) -> None:
        self._own = {"stdout": sys.stdout, "stderr": sys.stderr}

    def catch_up(self) -> None:
        for stream in self._own.values():
            stream.catch_up()

    def flush(self) -> None:
        for stream in self._own.values():
            stream.flush()

    def restore(self) -> None:
        """In place of what cannot be flushed, such as None."""
        for name, stream in self._own.items():
            try:
                getattr(sys, name).flush()
            except Exception:
                setattr(sys, name, stream)


def answer_always(kernel: Any, streams: Streams) -> None:
    """Where ipykernel itself fails over a run, the run ends with that error."""
    execute = kernel.shell_handlers["execute_request"]

    async def run(stream: Any, ident: Any, parent: Any) -> None:
        try:
            await execute(stream, ident, parent)
        except Exception as thrown:
            reply = {
                "status": "error",
                "ename": type(thrown).__name__,
                "evalue": str(thrown),
                "traceback": traceback.format_exception(thrown),
            }
            kernel.session.send(stream, "execute_reply", reply, parent, ident=ident)
        finally:
            streams.restore()

    kernel.shell_handlers["execute_request"] = run
