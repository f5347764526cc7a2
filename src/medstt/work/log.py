"""Structured logs: one JSON object a line, from a fixed set of fields, none of which can hold a patient's text.

Knows nothing of what happens.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TextIO

FIELDS = frozenset(
    "request_id method route status ms bytes tenant key worker dictation attempt code model host port error "
    "where count expired orphans drafts signal ready_ms queue_ms".split()
)
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Log:
    """Writes events; a field that is not in ``FIELDS`` is a programming error."""

    def __init__(self, level: str = "info", stream: TextIO | None = None) -> None:
        self._least = LEVELS[level]
        self._stream = stream
        self._lock = threading.Lock()

    def event(self, name: str, level: str = "info", **fields: str | int | float | None) -> None:
        """Write one event with its fields; None is left out."""
        unknown = fields.keys() - FIELDS
        if unknown:
            raise ValueError(f"log fields must be listed: {sorted(unknown)}")
        if LEVELS[level] < self._least:
            return
        entry = {"time": round(time.time(), 3), "level": level, "event": name}
        line = json.dumps(entry | {key: value for key, value in fields.items() if value is not None})
        stream = self._stream or sys.stderr
        with self._lock:
            stream.write(line + "\n")
            stream.flush()

    def failure(self, name: str, error: BaseException, **fields: str | int | float | None) -> None:
        """Write an unexpected error: its type and where it arose, not its message, which may quote a patient."""
        trace, where = error.__traceback__, None
        while trace is not None:
            code = trace.tb_frame.f_code
            where = f"{code.co_filename.rpartition('medstt/')[2]}:{trace.tb_lineno} {code.co_name}"
            trace = trace.tb_next
        self.event(name, "error", error=type(error).__name__, where=where, **fields)
