"""Run tasks over workers: in this process for one, else in processes of their own, each with its own engine.

Processes, because part of decoding is Python and threads would wait for each other. A worker that dies costs the one
recording it held. Knows nothing of terminals.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Literal

from medstt.batch.folder import OutputFolder
from medstt.batch.inputs import Recording, name_outputs
from medstt.batch.work import Progress, Rendered, Task, WriteOptions, do_task
from medstt.errors import MedsttError, ResourceError
from medstt.transcriber import Transcriber

# Opens a transcriber with so many replicas of its engine; must be picklable (a function or a partial of one).
OpenTranscriber = Callable[[int], Transcriber]
Results = Generator["Progress | Rendered"]
SHORT_BYTES = 1 << 18  # 8 s as wav, a minute and a half as opus


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a recording ended. ``contents`` are the rendered formats, ``error`` one line that names the recording."""

    number: int
    recording: Recording
    status: Literal["done", "skipped", "failed"]
    audio_ms: int = 0
    contents: Mapping[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: str = ""


def run_batch(
    recordings: Sequence[Recording],
    open_transcriber: OpenTranscriber,
    options: WriteOptions,
    folder: OutputFolder | None = None,
    jobs: int = 1,
) -> Generator[Progress | Outcome]:
    """Yield progress and one outcome per recording, in the order they end; results are committed to ``folder``.

    Raises ResourceError where the disk stays full, and ModelError where the model cannot be loaded.
    """
    names = name_outputs(recordings, folder.names if folder else {})
    tasks = [Task(i, item.path, item.label, names[item]) for i, item in enumerate(recordings)]
    done = folder.done(options.formats) if folder else frozenset()
    workers = min(jobs, len(tasks))
    results = (
        _run_here(tasks, open_transcriber, options, done, jobs)
        if workers <= 1
        else _run_apart(tasks, open_transcriber, options, done, workers)
    )
    try:
        for result in results:
            if isinstance(result, Progress):
                yield result
                continue
            outcome = _settle(result, recordings[result.task.number], folder)
            yield outcome
            if outcome.status == "failed" and folder is not None and not folder.has_room():
                raise ResourceError(f"{folder.path}: the disk is full", "Free some space and run again")
    finally:
        results.close()


def _settle(result: Rendered, recording: Recording, folder: OutputFolder | None) -> Outcome:
    number = result.task.number
    if result.error:
        return Outcome(number, recording, "failed", error=result.error)
    if result.skipped:
        return Outcome(number, recording, "skipped")
    if folder is not None:
        try:
            folder.commit(result.key, recording.source, result.task.name, result.contents, result.audio_ms)
        except MedsttError as error:
            return Outcome(number, recording, "failed", error=f"{recording.label}: {error}")
    return Outcome(number, recording, "done", result.audio_ms, result.contents, result.warnings)


def _run_here(
    tasks: Sequence[Task], open_transcriber: OpenTranscriber, options: WriteOptions, done: frozenset[str], jobs: int
) -> Results:
    if tasks:
        transcriber = open_transcriber(1 if _is_short(tasks) else jobs)
        for task in tasks:
            yield from do_task(transcriber, task, options, done)


def _is_short(tasks: Sequence[Task]) -> bool:
    """Tell whether loading more than one engine would take longer than it saves."""
    try:
        return len(tasks) == 1 and tasks[0].path.stat().st_size < SHORT_BYTES
    except OSError:
        return True


@dataclass(slots=True)
class _Worker:
    """A process, the pipe to it, and the task it holds; ``ready`` once its model is loaded."""

    process: SpawnProcess
    connection: Connection
    ready: bool = False
    task: Task | None = None


def _run_apart(
    tasks: Sequence[Task], open_transcriber: OpenTranscriber, options: WriteOptions, done: frozenset[str], workers: int
) -> Results:
    """Hand tasks to processes. The first one loads (and if need be converts) the model before the others start."""
    queue = deque(tasks)
    start = partial(_start_worker, open_transcriber, options, done)
    crew = [start()]
    try:
        while queue or any(worker.task for worker in crew):
            ready = wait([worker.connection for worker in crew])
            for worker in [worker for worker in crew if worker.connection in ready]:
                try:
                    message = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    yield from _bury(worker)
                    crew.remove(worker)
                    if queue:
                        crew.append(start())
                    continue
                if isinstance(message, MedsttError):
                    raise message
                if isinstance(message, Progress):
                    yield message
                    continue
                if isinstance(message, Rendered):
                    worker.task = None
                    yield message
                elif not worker.ready and not any(other.ready for other in crew):
                    crew += [start() for _ in range(min(workers, len(queue)) - len(crew))]
                worker.ready = True
                if queue:
                    worker.task = queue.popleft()
                    worker.connection.send(worker.task)
    finally:
        for worker in crew:
            worker.connection.close()
            worker.process.terminate()
        for worker in crew:
            worker.process.join()


def _start_worker(open_transcriber: OpenTranscriber, options: WriteOptions, done: frozenset[str]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, open_transcriber, options, done), daemon=True)
    with _interrupts_ignored():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C meanwhile, which a process started now inherits: it is the parent's business."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _bury(worker: _Worker) -> Iterator[Rendered]:
    """Report the task of a worker that died; one that died before its model was loaded ends the run."""
    worker.process.join()
    how = f"exit code {worker.process.exitcode}"
    if not worker.ready:
        raise ResourceError(f"A worker process ended while loading the model ({how})", "Lower --jobs")
    if worker.task is not None:
        remedy = "Run again, with a lower --jobs if memory is short"
        yield Rendered(worker.task, error=f"{worker.task.label}: its worker process ended ({how}). {remedy}")


def _work(
    connection: Connection, open_transcriber: OpenTranscriber, options: WriteOptions, done: frozenset[str]
) -> None:
    """Be a worker: load the model, say so, then do tasks until the other side is gone."""
    try:
        transcriber = open_transcriber(1)
    except MedsttError as error:
        connection.send(error)
        return
    try:
        connection.send(None)
        while True:
            for event in do_task(transcriber, connection.recv(), options, done):
                connection.send(event)
    except (EOFError, OSError):  # the parent has closed the pipe, or was killed
        return
