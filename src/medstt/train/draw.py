"""The order of batches, and their making ahead of time by a thread.

Knows nothing of what a clip or a batch holds.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np

WINDOW = 1000  # clips among which those of like length come together, so that none has a fixed company
AHEAD = 4  # batches

T = TypeVar("T")
B = TypeVar("B")


def order_batches(
    clips: Sequence[T], length: Callable[[T], int], frames: int, rng: np.random.Generator, opening: int = 0
) -> list[list[T]]:
    """Return an epoch's clips, given in random order, as batches: like lengths together, batches in random order.

    The ``opening`` shortest clips come first, in order of length.
    """
    numbers = sorted(range(len(clips)), key=lambda number: length(clips[number]))[:opening]
    first = set(numbers)
    later = [clip for number, clip in enumerate(clips) if number not in first]
    windows = [sorted(later[start : start + WINDOW], key=length) for start in range(0, len(later), WINDOW)]
    batches = [batch for window in windows for batch in fill(window, length, frames)]
    shuffled = [batches[number] for number in rng.permutation(len(batches))]
    return fill([clips[number] for number in numbers], length, frames) + shuffled


def fill(clips: Sequence[T], length: Callable[[T], int], frames: int) -> list[list[T]]:
    """Return clips, sorted by length, as batches of at most ``frames``, padding included."""
    batches: list[list[T]] = []
    for clip in clips:
        if not batches or (len(batches[-1]) + 1) * length(clip) > frames:
            batches.append([])
        batches[-1].append(clip)
    return batches


class Drawer(Generic[T, B]):
    """Yields batches for ever: ``plan`` gives an epoch's, ``make`` one of them for its (epoch, index) and number."""

    def __init__(
        self, plan: Callable[[int], list[list[T]]], make: Callable[[Sequence[T], tuple[int, int], int], B]
    ) -> None:
        self._plan, self._make = plan, make

    def batches(self, skip: int = 0, rank: int = 0, world: int = 1) -> Iterator[B]:
        """Yield every ``world``-th batch from ``skip * world + rank`` on, prepared a few ahead by a thread."""
        ready: queue.Queue[B | BaseException] = queue.Queue(maxsize=AHEAD)
        stop = threading.Event()

        def put(item: B | BaseException) -> None:
            while not stop.is_set():
                try:
                    ready.put(item, timeout=0.2)
                    return
                except queue.Full:
                    continue

        def produce() -> None:
            number, epoch = 0, 0
            try:
                while not stop.is_set():
                    for index, clips in enumerate(self._plan(epoch)):
                        if stop.is_set():
                            return
                        if number >= skip * world and number % world == rank:
                            put(self._make(clips, (epoch, index), number // world))
                        number += 1
                    epoch += 1
            except BaseException as error:  # handed to the consumer, which raises it
                put(error)

        threading.Thread(target=produce, daemon=True).start()
        try:
            while True:
                item = ready.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
