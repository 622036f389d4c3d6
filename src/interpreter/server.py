"""The HTTP server that E2B's code interpreter clients talk to."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import tempfile
from typing import Any, Callable, Mapping

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.web import Application, HTTPError, RequestHandler

from . import records
from .context import WAITING_MAX, Context
from .contexts import Contexts, TooMany, UnknownContext, UnknownLanguage
from .kernel import CannotStart, KernelEnded
from .run import Run

PORT = 49999
BODY_BYTES_MAX = 32 * 1024 * 1024
KEEPALIVE_SECONDS = 5.0

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (UnknownContext, 404),
    (UnknownLanguage, 400),
    (CannotStart, 400),
    (TooMany, 429),
    (KernelEnded, 500),
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Handler(RequestHandler):
    contexts: Contexts

    def initialize(self, contexts: Contexts) -> None:
        self.contexts = contexts

    def prepare(self) -> None:
        # A line is sent at once, however small.
        stream = getattr(self.request.connection, "stream", None)
        if stream is not None:
            stream.set_nodelay(True)

    def set_default_headers(self) -> None:
        # Clients run in browsers too. Who may reach the port at all is decided outside of the sandbox.
        for what in ("Origin", "Methods", "Headers"):
            self.set_header(f"Access-Control-Allow-{what}", "*")

    def options(self, *_: str) -> None:
        self.set_status(204)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """As text, which is what clients show."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        thrown = kwargs.get("exc_info", (None, None, None))[1]
        for kind, status in _STATUS:
            if isinstance(thrown, kind):
                self.set_status(status)
                return self.finish(str(thrown))
        message = thrown.log_message if isinstance(thrown, HTTPError) and thrown.log_message else self._reason
        self.finish(message)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, tuple(kind for kind, _ in _STATUS)):
            super().log_exception(typ, value, tb)

    def give(self, value: Any) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(value))

    def body(self, fields: Mapping[str, type]) -> dict[str, Any]:
        """An object; null is as good as absent, and what nobody knows is ignored."""
        try:
            body = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError) as cause:
            raise HTTPError(400, "the body is not JSON, or nested too deep") from cause
        if not isinstance(body, dict):
            raise HTTPError(400, "the body is not an object")
        for name, kind in fields.items():
            if body.get(name) is not None and not isinstance(body[name], kind):
                raise HTTPError(400, f"{name} is not of the right type")
            if kind is str and not _is_text(body.get(name) or ""):
                raise HTTPError(400, f"{name} has a NUL or half a character in it")
        return {name: body.get(name) for name in fields}


class Health(Handler):
    async def get(self) -> None:
        await self.contexts.keep_warm()
        self.give("OK")


class Execute(Handler):
    run: Run | None = None

    async def post(self) -> None:
        body = self.body({"code": str, "context_id": str, "language": str, "env_vars": dict})
        code, context_id, language = body["code"], body["context_id"], body["language"]
        if code is None:
            raise HTTPError(400, "code is missing")
        if context_id and language:
            raise HTTPError(400, "Only one of context_id or language can be provided")
        env = _environment(body["env_vars"] or {})
        context = self.contexts.get(context_id) if context_id else await self.contexts.default(language)
        if context.waiting >= WAITING_MAX:
            raise HTTPError(429, f"{WAITING_MAX} runs wait for this context already")
        self.run = context.begin(code, env)
        self.set_header("Content-Type", "application/x-ndjson")
        await self._pass_on(self.run)

    async def _pass_on(self, run: Run) -> None:
        while not run.is_left:
            lines, is_over = await run.read(KEEPALIVE_SECONDS)
            self.write(lines or records.line(records.KEEPALIVE))
            if is_over:
                return
            try:
                await self.flush()
            except StreamClosedError:
                run.leave()

    def on_connection_close(self) -> None:
        if self.run is not None:
            self.run.leave()


class AllContexts(Handler):
    def get(self) -> None:
        self.give([_shown(context) for context in self.contexts.list()])

    async def post(self) -> None:
        body = self.body({"language": str, "cwd": str})
        self.give(_shown(await self.contexts.create(body["language"], body["cwd"])))


class OneContext(Handler):
    async def delete(self, id: str) -> None:
        await self.contexts.remove(id)
        self.set_status(204)


class Restart(Handler):
    async def post(self, id: str) -> None:
        await self.contexts.get(id).restart()
        self.set_status(204)


def _shown(context: Context) -> dict[str, str]:
    return {"id": context.id, "language": context.language, "cwd": context.cwd}


def _environment(values: Mapping[Any, Any]) -> dict[str, str]:
    for name, value in values.items():
        if not _NAME.fullmatch(name) or not isinstance(value, str) or not _is_text(value):
            raise HTTPError(400, f"env_vars: {name!r} is no name, or its value no text without NUL")
    return dict(values)


def _is_text(value: str) -> bool:
    """JSON can say more: NUL, which no program is given, and lone surrogates, which are not to be encoded."""
    return not re.search("[\0\ud800-\udfff]", value)


async def serve(contexts: Contexts, ready: Callable[[], None]) -> None:
    """Until the process ends. It listens once the warm contexts are there, and a first request has been answered."""
    await contexts.start()
    more = {"contexts": contexts}
    application = Application(
        [
            ("/health", Health, more),
            ("/execute", Execute, more),
            ("/contexts", AllContexts, more),
            ("/contexts/([^/]+)", OneContext, more),
            ("/contexts/([^/]+)/restart", Restart, more),
        ],
        log_function=lambda handler: None,
    )
    await _answer_once(application)
    # What is there by now stays: collections leave it alone, and its memory is shared by all sandboxes of a checkpoint.
    gc.collect()
    gc.freeze()
    server = HTTPServer(application, max_body_size=BODY_BYTES_MAX, idle_connection_timeout=60)
    # Nothing outside of the sandbox's own network reaches it but through the node.
    server.add_sockets(bind_sockets(PORT, "127.0.0.1"))
    ready()
    await asyncio.Event().wait()


async def _answer_once(application: Application) -> None:
    """Where nobody else can ask: code that is empty is not counted by the kernel."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "first")
        server = HTTPServer(application)
        server.add_socket(bind_unix_socket(path))
        reader, writer = await asyncio.open_unix_connection(path)
        body = b'{"code": ""}'
        head = f"POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await reader.read()
        writer.close()
        server.stop()
        await server.close_all_connections()
