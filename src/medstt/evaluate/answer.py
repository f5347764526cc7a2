"""What came back for one request: a reply or the reason why there is none, with its costs, and its form on disk.

Knows nothing of runs.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medstt.errors import DataError, MedsttError
from medstt.evaluate.item import Item
from medstt.evaluate.system import HeardWord, Reply, System


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's recorded outcome: a reply, or the reason why there is none. Times in milliseconds."""

    key: str
    reply: Reply | None
    error: str | None
    wall_ms: int
    cpu_ms: int


def ask(system: System, item: Item) -> Answer:
    """Ask a system for one item; an error of the exception tree is recorded, never scored as an empty transcript.

    CPU time is that of this process and its children: right where one request runs at a time.
    """
    wall, cpu = time.perf_counter(), cpu_seconds()
    reply, error = None, None
    try:
        reply = system.transcribe(item.request)
    except MedsttError as failure:
        error = str(failure)
    wall_ms = round((time.perf_counter() - wall) * 1000)
    return Answer(item.key, reply, error, wall_ms, round((cpu_seconds() - cpu) * 1000))


def cpu_seconds() -> float:
    """Return the CPU time of this process and its ended children."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def encode_answer(answer: Answer) -> dict[str, Any]:
    """Return an answer as one JSON object."""
    row: dict[str, Any] = {"key": answer.key, "wall_ms": answer.wall_ms, "cpu_ms": answer.cpu_ms}
    if answer.reply is None:
        return row | {"error": answer.error}
    reply = {key: value for key, value in asdict(answer.reply).items() if value is not None and key != "words"}
    words = [[w.text, w.start_ms, w.end_ms, w.confidence] for w in answer.reply.words]
    return row | reply | ({"words": words} if words else {})


def _decode(row: Mapping[str, Any]) -> Answer:
    reply = None
    if "error" not in row:
        words = tuple(HeardWord(*word) for word in row.get("words", ()))
        reply = Reply(row["text"], words, row.get("written"), row.get("language"), row.get("audio_ms"))
    return Answer(row["key"], reply, row.get("error"), row["wall_ms"], row["cpu_ms"])


def read_answers(path: Path) -> Iterator[Answer]:
    """Yield recorded answers, a torn last line left out; raises DataError naming a line that is damaged."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return
            try:
                yield _decode(json.loads(line))
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise DataError(
                    f"{path.name}:{number}: damaged ({error})", "Delete that line and evaluate again"
                ) from error
