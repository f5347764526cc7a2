"""Threads that claim dictations, keep their leases alive, and record what became of them.

Knows nothing of how a dictation is processed, or of HTTP.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable

from medstt.errors import (
    ConflictError,
    InputError,
    MedsttError,
    ModelError,
    NotFoundError,
    ResourceError,
    StoreUnavailable,
)
from medstt.store.queue import Job, Queue
from medstt.work.log import Log
from medstt.work.metric import Metrics
from medstt.work.process import Processor

PROGRESS_S = 1.0


class Stopped(Exception):
    """The work on a job ends early: its lease is lost, or the process shuts down."""


class _Lease:
    """Renews one job's lease from a thread of its own until it is closed."""

    def __init__(self, queue: Queue, job: Job, log: Log) -> None:
        self._queue, self._job, self._log = queue, job, log
        self._done_ms = self._told_ms = 0
        self._closed = threading.Event()
        self.lost = False
        self._thread = threading.Thread(target=self._run, name=f"lease-{job.id[:8]}", daemon=True)
        self._thread.start()

    def progress(self, done_ms: int) -> None:
        self._done_ms = done_ms

    def _run(self) -> None:
        every = self._queue.policy.lease_ms / 3000
        last = time.monotonic()
        while not self._closed.wait(min(PROGRESS_S, every)):
            if self._done_ms == self._told_ms and time.monotonic() - last < every:
                continue
            done_ms = self._done_ms
            try:
                self.lost = not self._queue.renew(self._job, done_ms)
            except StoreUnavailable:  # the lease may still hold: try again, its end decides
                continue
            except MedsttError as error:
                self._log.event("lease.failed", "error", dictation=self._job.id, code=error.code)
                continue
            self._told_ms, last = done_ms, time.monotonic()
            if self.lost:
                return

    def close(self) -> None:
        self._closed.set()
        self._thread.join()


class Workers:
    """A number of threads working through the queue until told to stop."""

    def __init__(
        self, queue: Queue, processor: Processor, metrics: Metrics, log: Log, *, count: int, poll_s: float
    ) -> None:
        self._queue, self._processor, self._metrics, self._log = queue, processor, metrics, log
        self._count, self._poll_s = count, poll_s
        self._stopping = threading.Event()
        self._abandon = threading.Event()
        self._wake = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._listeners: list[Callable[[], None]] = []
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    def start(self) -> None:
        """Start the threads."""
        for number in range(self._count):
            thread = threading.Thread(target=self._loop, args=(f"{self._name}:{number}",), name=f"worker-{number}")
            self._threads.append(thread)
            thread.start()

    def tell(self, listener: Callable[[], None]) -> None:
        """Call ``listener``, from any thread, whenever a dictation was worked on."""
        self._listeners.append(listener)

    def wake(self) -> None:
        """Tell a waiting thread that there is something to do."""
        with self._wake:
            self._wake.notify()

    def stop(self, drain_s: float) -> None:
        """Claim no more, let the dictations in hand finish for so long, then give them back to the queue."""
        self._stopping.set()
        with self._wake:
            self._wake.notify_all()
        end = time.monotonic() + drain_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._abandon.set()
        for thread in self._threads:
            thread.join()

    def alive(self) -> bool:
        """Say whether every thread runs."""
        return all(thread.is_alive() for thread in self._threads)

    def _loop(self, worker: str) -> None:
        while not self._stopping.is_set():
            try:
                found = self.run_one(worker)
            except MedsttError as error:
                self._log.event("worker.failed", "error", worker=worker, code=error.code)
                found = False
            except Exception as error:  # a worker thread never ends by accident
                self._log.failure("worker.failed", error, worker=worker)
                found = False
            if not found:
                with self._wake:
                    if not self._stopping.is_set():
                        self._wake.wait(self._poll_s)

    def run_one(self, worker: str) -> bool:
        """Claim and process one dictation; False when there is none due."""
        job = self._queue.claim(worker)
        if job is None:
            return False
        started = time.monotonic()
        self._metrics.busy.inc()
        lease = _Lease(self._queue, job, self._log)
        try:
            self._attempt(job, lease)
        finally:
            for listener in self._listeners:
                listener()
            lease.close()
            self._metrics.busy.dec()
            self._metrics.processing_seconds.observe(time.monotonic() - started)
        return True

    def _attempt(self, job: Job, lease: _Lease) -> None:
        def progress(done_ms: int) -> None:
            lease.progress(done_ms)
            if lease.lost or self._abandon.is_set():
                raise Stopped

        started = time.monotonic()
        outcome, code = "ready", None
        try:
            result = self._processor.run(job, progress)
            self._queue.finish(job, result)
            self._metrics.audio_seconds.labels("dictations").inc(result.duration_ms / 1000)
        except Stopped:
            outcome = "lost" if lease.lost else "released"
            if not lease.lost:
                self._queue.release(job)
        except ConflictError as error:  # another worker has it, or it was erased
            outcome, code = "lost", error.code
        except MedsttError as error:
            outcome, code = self._failed(job, error)
        except Exception as error:
            self._log.failure("dictation.error", error, dictation=job.id, attempt=job.attempt)
            outcome, code = "error", "internal"
            self._queue.fail(job, code, "an unexpected error; the log names it", retry=True)
        self._metrics.processed.labels(outcome).inc()
        spent = int((time.monotonic() - started) * 1000)
        self._log.event(f"dictation.{outcome}", dictation=job.id, attempt=job.attempt, code=code, ms=spent)

    def _failed(self, job: Job, error: MedsttError) -> tuple[str, str]:
        if isinstance(error, StoreUnavailable):  # nothing can be recorded: the lease's end frees the job
            return "error", error.code
        if isinstance(error, ResourceError | ModelError):  # the machine's trouble, not the recording's
            self._queue.postpone(job, error.code, str(error))
            return "postponed", error.code
        final = isinstance(error, InputError | NotFoundError)
        self._queue.fail(job, error.code, str(error), retry=not final)
        return ("failed" if final else "error"), error.code


class Every:
    """A thread that does something at intervals until it is closed; failures are logged and the next turn comes."""

    def __init__(self, seconds: float, action: Callable[[], None], log: Log, name: str) -> None:
        self._seconds, self._action, self._log, self._name = seconds, action, log, name
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(self._seconds):
            try:
                self._action()
            except MedsttError as error:
                self._log.event(f"{self._name}.failed", "error", code=error.code)
            except Exception as error:
                self._log.failure(f"{self._name}.failed", error)

    def close(self) -> None:
        """End the thread after the turn it is in."""
        self._closed.set()
        self._thread.join()
