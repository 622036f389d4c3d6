"""Records of a run, as clients read them: one JSON object a line. Pure."""

from __future__ import annotations

import json
from typing import Any, Mapping

Record = dict[str, Any]

KEEPALIVE: Record = {"type": "keepalive"}
END: Record = {"type": "end_of_execution"}

_FORMATS = {
    "text/plain": "text",
    "text/html": "html",
    "text/markdown": "markdown",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "application/pdf": "pdf",
    "text/latex": "latex",
    "application/json": "json",
    "application/javascript": "javascript",
    "e2b/data": "data",
    "e2b/chart": "chart",
}


def count(number: int) -> Record:
    return {"type": "number_of_executions", "execution_count": number}


def stream(name: str, text: str, timestamp: str) -> Record:
    """`name` is stdout or stderr; the time is ISO 8601."""
    return {"type": name, "text": text, "timestamp": timestamp}


def error(name: str, value: str, traceback: str = "") -> Record:
    return {"type": "error", "name": name, "value": value, "traceback": traceback}


def result(bundle: Mapping[str, Any], is_main: bool) -> Record:
    """From a bundle by MIME type; those that have no name of their own are in `extra`."""
    record: Record = {"type": "result", "is_main_result": is_main}
    extra: dict[str, Any] = {}
    for mime, value in bundle.items():
        if mime in _FORMATS:
            record[_FORMATS[mime]] = value
        else:
            extra[mime] = value
    if isinstance(record.get("text"), str):
        record["text"] = _without_quotes(record["text"])
    if extra:
        record["extra"] = extra
    return record


def _without_quotes(text: str) -> str:
    """A string is shown as it is, not as its representation."""
    quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def line(record: Record) -> bytes:
    try:
        text = json.dumps(record, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(record), allow_nan=False)
    return text.encode() + b"\n"


def _finite(value: Any) -> Any:
    """JSON has no numbers that are none, or infinite: they become null, as in what browsers write."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
