"""What the server does with a recording, done without one: decoded, cut into phrases, listened to for names, formatted.

In this process, or in as many as the server has engines. Knows nothing of servers or of measures.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from os import getpid
from types import TracebackType

from medstt.process import end_with_parent

Direct = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Done:
    """What a recording took in its process, in seconds."""

    process: int
    wall_s: float
    cpu_s: float


def open_direct() -> Direct:
    """Return what turns a recording into a document in this process, with one engine."""
    from medstt.service import open_transcriber, read_settings
    from medstt.text import open_formatter

    transcriber = open_transcriber(read_settings(), language="en")
    formatter = open_formatter("en")
    return lambda sound: formatter.format(transcriber.transcribe(sound))


class DirectCrew:
    """Processes that do the same, with an engine each, as `medstt transcribe --jobs` does; use as a context manager."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pool = ProcessPoolExecutor(size, multiprocessing.get_context("spawn"), initializer=_begin)

    def __enter__(self) -> DirectCrew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def warm(self, sound: bytes) -> None:
        """Return once every process has done a recording."""
        seen: set[int] = set()
        while len(seen) < self._size:
            seen |= {one.process for one in self.run([sound] * self._size)}

    def run(self, sounds: Sequence[bytes]) -> list[Done]:
        """Do recordings, each by whoever is free, and say what each took."""
        return list(self._pool.map(_do, sounds))


_opened = cache(open_direct)


def _begin() -> None:
    end_with_parent()
    _opened()


def _do(sound: bytes) -> Done:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    _opened()(sound)
    return Done(getpid(), time.perf_counter() - wall_s, time.process_time() - cpu_s)
