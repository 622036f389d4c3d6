"""
The Python kernel: ipykernel with the results' formats that clients know, and environments that come with a run.

Usage: python.py [--warm] -f CONNECTION_FILE
"""

from __future__ import annotations

import gc
import importlib.util
import io
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

# Nobody debugs through this kernel: its debugger would be loaded into every one. Programs may still import it.
sys.modules["debugpy"] = None  # type: ignore[assignment]
import zmq  # noqa: E402
from ipykernel.kernelapp import IPKernelApp  # noqa: E402
from tornado.ioloop import IOLoop  # noqa: E402

del sys.modules["debugpy"]

_OPTIONS = [
    "--IPKernelApp.outstream_class=_ramet_streams.WatchedStream",
    "--InteractiveShell.colors=NoColor",
    # Its database would be written to by every clone at the same place.
    "--HistoryManager.enabled=False",
    # For clients that take the reply for the end; the server waits for both ends of a run.
    "--Kernel._execute_sleep=0",
]


def load(name: str) -> ModuleType:
    """A file beside this one, without a directory of ours on the path of programs."""
    spec = importlib.util.spec_from_file_location(f"_ramet_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_MESSAGES_MAX = 100


class KernelApp(IPKernelApp):
    def _bind_socket(self, socket: Any, port: int) -> int:
        # What the server has not read yet is waited for: by itself, such a socket drops what does not fit.
        if socket.type == zmq.PUB:
            socket.setsockopt(zmq.XPUB_NODROP, 1)
            socket.setsockopt(zmq.SNDHWM, _MESSAGES_MAX)
        return super()._bind_socket(socket, port)


class RunEnvironment:
    """
    What a request says about the environment holds before its code runs; what is for this run alone ends with it, and
    what programs have written by then is of this run.
    """

    def __init__(self, shell: Any, streams: Any) -> None:
        self._shell = shell
        self._streams = streams
        self._before: dict[str, str | None] = {}
        shell.events.register("pre_run_cell", self._enter)
        shell.events.register("post_run_cell", self._leave)

    def _enter(self, _info: Any) -> None:
        given = self._shell.kernel.get_parent("shell").get("metadata", {}).get("ramet", {})
        os.environ.update(given.get("base", {}))
        env = given.get("env", {})
        self._before = {name: os.environ.get(name) for name in env}
        os.environ.update(env)

    def _leave(self, _result: Any) -> None:
        self._streams.restore()
        self._streams.catch_up()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before = {}


def warm_up() -> None:
    """What most programs import, and what it makes when it is first used."""
    import matplotlib.pyplot as plt
    import numpy  # noqa: F401
    import pandas  # noqa: F401

    plt.plot([0, 1])
    plt.savefig(io.BytesIO(), format="png")
    plt.close("all")


def main(arguments: list[str]) -> None:
    is_warm = "--warm" in arguments
    # As for a program that is typed in: modules are found in the working directory.
    sys.path[0] = ""
    load("streams")
    app = KernelApp.instance()
    app.initialize([*_OPTIONS, *(argument for argument in arguments if argument != "--warm")])
    messages = load("messages")
    app.session.pack = messages.pack
    streams = messages.Streams()
    messages.answer_always(app.kernel, streams)
    # Or the child would have it as well, and say it once more.
    os.register_at_fork(before=streams.flush)
    RunEnvironment(app.shell, streams)
    load("charts")
    load("formats").install(app.shell)
    load("images").install()
    if is_warm:
        warm_up()
        # Collections leave it alone from here on: its memory is shared by all sandboxes of a checkpoint.
        gc.collect()
        gc.freeze()
    # An interrupt of code that awaits is seen when the loop wakes: with any handler of its own, it does at every signal.
    IOLoop.current().asyncio_loop.add_signal_handler(signal.SIGWINCH, lambda: None)
    app.start()


main(sys.argv[1:])
