"""One system in several processes at once: each opens it by name and asks it for one item after another.

Python's lock lets one process search for words at a time, so that models need processes, not threads. Knows nothing of
runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from typing import Any

from medstt.evaluate.answer import Answer, ask
from medstt.evaluate.environment import peak_memory_mb
from medstt.evaluate.item import Item
from medstt.evaluate.system import Reply, Request, System, SystemOptions, open_system
from medstt.process import end_with_parent

THREADED = frozenset({"command", "transcripts", "http", "https"})  # kinds that wait for somebody else


class ReplicatedSystem:
    """A system that several processes have opened; described by, and asked singly through, the one opened here."""

    def __init__(self, name: str, options: SystemOptions, count: int) -> None:
        self._name = name
        self._options = options
        self._here = open_system(name, options)  # a wrong name is found before a process is started
        self._pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=end_with_parent)

    def describe(self) -> Mapping[str, Any]:
        """Return what a report must name; how many processes there are changes no word."""
        return self._here.describe()

    def transcribe(self, request: Request) -> Reply:
        """Transcribe one request in this process."""
        return self._here.transcribe(request)

    def submit(self, item: Item) -> Future[tuple[Answer, int]]:
        """Ask one of the processes; the answer comes with that process's peak memory in MiB.

        Raises BrokenProcessPool, or its future does, if a process was ended from outside.
        """
        return self._pool.submit(_ask_by_name, self._name, self._options, item)

    def close(self) -> None:
        """End the processes once they have answered."""
        self._pool.shutdown()


@lru_cache(maxsize=1)
def _opened(name: str, options: SystemOptions) -> System:
    return open_system(name, options)


def _ask_by_name(name: str, options: SystemOptions, item: Item) -> tuple[Answer, int]:
    return ask(_opened(name, options), item), peak_memory_mb()


def open_side_by_side(name: str, options: SystemOptions, jobs: int) -> System:
    """Open a system so that ``jobs`` requests run at a time: a model in processes of its own, others in threads."""
    if jobs <= 1 or name.partition(":")[0] in THREADED:
        return open_system(name, options)
    return ReplicatedSystem(name, options, jobs)
