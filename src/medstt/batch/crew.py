"""A crew of worker processes, each with its own engine, that tasks are handed to.

Processes, because part of decoding is Python and threads would wait for each other. A worker that dies costs the one
recording it held. Knows nothing of output folders or terminals.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from medstt.batch.work import OpenTranscriber, Progress, Rendered, Results, Task, WriteOptions, do_task
from medstt.errors import MedsttError, ResourceError


@dataclass(slots=True)
class _Worker:
    """A process, the pipe to it, and the task it holds; ``ready`` once its model is loaded."""

    process: SpawnProcess
    connection: Connection
    ready: bool = False
    task: Task | None = None


def run_apart(
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
                if not any(other.ready for other in crew):
                    crew += [start() for _ in range(min(workers, len(queue)) - len(crew))]
                worker.ready = True
                worker.task = queue.popleft() if queue else None
                if worker.task is not None:  # before its last result is written: it shall not wait for the disk
                    with suppress(BrokenPipeError, ConnectionResetError):  # it has died, which is seen on receiving
                        worker.connection.send(worker.task)
                if isinstance(message, Rendered):
                    yield message
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
