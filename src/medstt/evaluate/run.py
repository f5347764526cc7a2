"""A run as a folder: what was asked (spec, items), what came back (transcripts), resumable after a kill.

Requests, transcripts and scores are apart, so a run can be scored again without decoding. Knows nothing of scores.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medstt.disk import naming_disk_errors, write_atomically
from medstt.errors import ConflictError, DataError, MedsttError
from medstt.evaluate.environment import describe_environment, peak_memory_mb
from medstt.evaluate.item import Item, decode_items, digest_items, encode_items
from medstt.evaluate.system import HeardWord, Reply, System

SPEC, ITEMS, TRANSCRIPTS, ENVIRONMENT = "spec.json", "items.jsonl", "transcripts.jsonl", "environment.json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's recorded outcome: a reply, or the reason why there is none. Times in milliseconds."""

    key: str
    reply: Reply | None
    error: str | None
    wall_ms: int
    cpu_ms: int


@dataclass(frozen=True, slots=True)
class Run:
    """A run's folder with its spec and items; transcripts are read when they are needed."""

    folder: Path
    spec: Mapping[str, Any]
    items: tuple[Item, ...]

    @property
    def name(self) -> str:
        """A short name for tables: the system under test."""
        system = self.spec["system"]
        return str(system.get("label") or system.get("name") or system.get("kind"))

    def answers(self) -> dict[str, Answer]:
        """Read the recorded transcripts by key; a torn last line is left out."""
        return {answer.key: answer for answer in _read_answers(self.folder / TRANSCRIPTS)}


def create_run(folder: Path, system: System, items: Sequence[Item], about: Mapping[str, Any]) -> Run:
    """Make a run's folder, or open it again if it holds the same system and items.

    ``about`` names the benchmark or manifest. Raises DataError for double keys or a folder that holds another run.
    """
    if len({item.key for item in items}) != len(items):
        raise DataError("two utterances have the same id", "Make the ids unique within a set")
    spec = {"format": 1, "system": dict(system.describe()), "items": digest_items(items), "count": len(items), **about}
    if (folder / SPEC).exists():
        old = open_run(folder)
        changed = [key for key in ("system", "items") if old.spec[key] != spec[key]]
        if changed:
            raise DataError(
                f"{folder} holds a run with another {changed[0]}", "Give a new --out folder, or delete this one"
            )
        return old
    with naming_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / ITEMS, "\n".join(encode_items(items)) + "\n")
    write_atomically(folder / ENVIRONMENT, json.dumps(describe_environment(), indent=1) + "\n")
    write_atomically(folder / SPEC, json.dumps(spec, indent=1, ensure_ascii=False) + "\n")
    return Run(folder, spec, tuple(items))


def open_run(folder: Path) -> Run:
    """Open a run's folder; raises DataError if it is not one or its items do not match its spec."""
    try:
        spec = json.loads((folder / SPEC).read_text(encoding="utf-8"))
        items = decode_items(folder / ITEMS)
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} is not a run (no {Path(error.filename).name})", "Give the folder that evaluate made"
        ) from error
    except json.JSONDecodeError as error:
        raise DataError(f"{folder}/{SPEC}: not JSON ({error.msg})", "Evaluate again into a new folder") from error
    if digest_items(items) != spec.get("items"):
        raise DataError(f"{folder}/{ITEMS} was changed after the run", "Evaluate again into a new folder")
    return Run(folder, spec, tuple(items))


Progress = Callable[[Answer], None]


def transcribe_run(
    run: Run,
    system: System,
    *,
    jobs: int = 1,
    max_minutes: float | None = None,
    progress: Progress = lambda answer: None,
) -> int:
    """Transcribe what is missing and record each answer as it comes; returns how many requests are still open.

    Failed requests of an earlier call are tried again. Only one process may work on a run (ConflictError).
    """
    deadline = time.monotonic() + max_minutes * 60 if max_minutes is not None else None
    with _locked(run.folder):
        _drop_torn_line(run.folder / TRANSCRIPTS)
        done = {key for key, answer in run.answers().items() if answer.error is None}
        todo = [item for item in run.items if item.key not in done]
        left = len(todo)
        with naming_disk_errors(run.folder), (run.folder / TRANSCRIPTS).open("a", encoding="utf-8") as out:
            for answer in _answers(system, todo, jobs, deadline):
                out.write(json.dumps(_encode(answer), ensure_ascii=False) + "\n")
                out.flush()
                left -= 1
                progress(answer)
        write_atomically(run.folder / "usage.json", json.dumps({"peak_memory_mb": peak_memory_mb()}) + "\n")
    return left


def _answers(system: System, items: Sequence[Item], jobs: int, deadline: float | None) -> Iterator[Answer]:
    if jobs <= 1:
        for item in items:
            if deadline is not None and time.monotonic() > deadline:
                return
            yield ask(system, item)
        return
    waiting = iter(items)
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(ask, system, item) for item in itertools.islice(waiting, jobs * 2)}
        while running:
            finished = next(as_completed(running))
            running.discard(finished)
            late = deadline is not None and time.monotonic() > deadline
            following = None if late else next(waiting, None)
            if following is not None:
                running.add(pool.submit(ask, system, following))
            yield finished.result()


def ask(system: System, item: Item) -> Answer:
    """Ask a system for one item; an error of the exception tree is recorded, never scored as an empty transcript."""
    wall, cpu = time.perf_counter(), time.process_time() + _children_s()
    reply, error = None, None
    try:
        reply = system.transcribe(item.request)
    except MedsttError as failure:
        error = str(failure)
    wall_ms = round((time.perf_counter() - wall) * 1000)
    return Answer(item.key, reply, error, wall_ms, round((time.process_time() + _children_s() - cpu) * 1000))


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _encode(answer: Answer) -> dict[str, Any]:
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


def _read_answers(path: Path) -> Iterator[Answer]:
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


def _drop_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(f"{folder}: another process works on this run", "Wait for it") from error
        yield


def digest_transcripts(run: Run) -> str:
    """Return the SHA-256 of keys and texts, in item order: equal for equal answers however often they were tried."""
    answers = run.answers()
    digest = hashlib.sha256()
    for item in run.items:
        answer = answers.get(item.key)
        text = answer.reply.text if answer and answer.reply else None
        digest.update(json.dumps([item.key, text], ensure_ascii=False).encode())
    return digest.hexdigest()
