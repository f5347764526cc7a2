"""A run as a folder: what was asked (spec, items), what came back (transcripts), resumable after a kill.

Requests, transcripts and scores are apart, so a run can be scored again without decoding. Knows nothing of scores.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medstt.disk import naming_disk_errors, write_atomically
from medstt.errors import ConflictError, DataError, ResourceError
from medstt.evaluate.answer import Answer, ask, cpu_seconds, encode_answer, read_answers
from medstt.evaluate.environment import describe_environment, peak_memory_mb
from medstt.evaluate.item import Item, decode_items, digest_items, encode_items
from medstt.evaluate.replica import ReplicatedSystem
from medstt.evaluate.system import System

SPEC, ITEMS, TRANSCRIPTS, ENVIRONMENT, USAGE = (
    "spec.json", "items.jsonl", "transcripts.jsonl", "environment.json", "usage.json",
)  # fmt: skip


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
        return {answer.key: answer for answer in read_answers(self.folder / TRANSCRIPTS)}


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
_Asked = tuple[Answer, int]  # with the peak memory of the process that answered, in MiB


def transcribe_run(
    run: Run,
    system: System,
    *,
    jobs: int = 1,
    max_minutes: float | None = None,
    progress: Progress = lambda answer: None,
) -> int:
    """Transcribe what is missing and record each answer as it comes; returns how many requests are still open.

    Failed requests of an earlier call are tried again. ``jobs`` requests run at a time: in the processes of a
    ReplicatedSystem, else in threads. Only one process may work on a run (ConflictError).
    """
    deadline = time.monotonic() + max_minutes * 60 if max_minutes is not None else None
    with _locked(run.folder):
        _drop_torn_line(run.folder / TRANSCRIPTS)
        done = {key for key, answer in run.answers().items() if answer.error is None}
        todo = [item for item in run.items if item.key not in done]
        left, peak_mb = len(todo), 0
        with naming_disk_errors(run.folder), (run.folder / TRANSCRIPTS).open("a", encoding="utf-8") as out:
            for answer, memory_mb in _answers(system, todo, jobs, deadline):
                out.write(json.dumps(encode_answer(answer), ensure_ascii=False) + "\n")
                out.flush()
                left, peak_mb = left - 1, max(peak_mb, memory_mb)
                progress(answer)
        if todo:
            _record_usage(run.folder / USAGE, peak_mb, jobs)
    return left


def _record_usage(path: Path, peak_mb: int, jobs: int) -> None:
    """Record the largest peak memory of one process, and how many requests ran at a time (0: not always as many)."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    same = before.get("jobs", jobs) == jobs
    usage = {"peak_memory_mb": max(peak_mb, before.get("peak_memory_mb", 0)), "jobs": jobs if same else 0}
    write_atomically(path, json.dumps(usage) + "\n")


def _answers(system: System, items: Sequence[Item], jobs: int, deadline: float | None) -> Iterator[_Asked]:
    if jobs <= 1:
        for item in items:
            if deadline is not None and time.monotonic() > deadline:
                return
            yield ask(system, item), peak_memory_mb()
    elif isinstance(system, ReplicatedSystem):
        try:
            yield from _side_by_side(system.submit, items, jobs, deadline)
        except BrokenProcessPool as error:
            raise ResourceError(
                "a process of the system under test was ended", "Give fewer --jobs if memory was short, and run again"
            ) from error
    else:
        with ThreadPoolExecutor(jobs) as pool:
            yield from _sharing_time(
                _side_by_side(lambda item: pool.submit(_asked, system, item), items, jobs, deadline)
            )


def _asked(system: System, item: Item) -> _Asked:
    return ask(system, item), peak_memory_mb()


def _side_by_side(
    submit: Callable[[Item], Future[_Asked]], items: Sequence[Item], jobs: int, deadline: float | None
) -> Iterator[_Asked]:
    """Yield answers as they come, with ``jobs`` requests running and as many waiting; none is begun once time is up."""
    coming = iter(items)
    late = deadline is not None and time.monotonic() > deadline
    running: set[Future[_Asked]] = set() if late else {submit(item) for item in itertools.islice(coming, jobs * 2)}
    while running:
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        if deadline is not None and time.monotonic() > deadline:
            coming = iter(())
            running = {future for future in running if not future.cancel()}
        for future in finished:
            if (following := next(coming, None)) is not None:
                running.add(submit(following))
            yield future.result()


def _sharing_time(answers: Iterator[_Asked]) -> Iterator[_Asked]:
    """Share CPU time out among the answers of threads as they come: right in sum, whoever used it."""
    spent = cpu_seconds()
    for answer, memory_mb in answers:
        now = cpu_seconds()
        yield replace(answer, cpu_ms=round((now - spent) * 1000)), memory_mb
        spent = now


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
