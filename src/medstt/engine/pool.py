"""Several replicas of one engine behind one: calls from several threads, and the clips of one call, run side by side.

Knows nothing of models; the replicas are interchangeable.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medstt.engine.letter import Letters
    from medstt.engine.protocol import Capabilities, Clip, DecodeOptions, Engine
    from medstt.values import Hypothesis, ModelRef


class EnginePool:
    """An Engine over replicas of the same model; a call waits for a free replica.

    Backends leave Python's lock while they compute, so threads are enough. One call's clips are shared out over the
    replicas by length.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        if not engines:
            raise ValueError("a pool needs at least one engine")
        self._first = engines[0]
        self._size = len(engines)
        self._free: queue.SimpleQueue[Engine] = queue.SimpleQueue()
        for engine in engines:
            self._free.put(engine)
        self._threads = ThreadPoolExecutor(len(engines), thread_name_prefix="engine")

    @property
    def ref(self) -> ModelRef:
        """Name and digest of the loaded model."""
        return self._first.ref

    @property
    def capabilities(self) -> Capabilities:
        """What the replicas can do."""
        return self._first.capabilities

    @property
    def first(self) -> Engine:
        """One of the replicas, for what they have in common."""
        return self._first

    @property
    def size(self) -> int:
        """Number of replicas."""
        return self._size

    def detect(self, clip: Clip) -> Mapping[str, float]:
        """Return the probability of each of the model's languages for one clip."""
        with self._replica() as engine:
            return engine.detect(clip)

    def decode(self, clips: Sequence[Clip], options: DecodeOptions) -> list[Hypothesis]:
        """Return one hypothesis per clip, in the order given."""
        shares = [share for share in _shares(clips, self._size) if share]
        if len(shares) <= 1:
            return self._decode(clips, options)
        waiting = [self._threads.submit(self._decode, [clips[index] for index in share], options) for share in shares]
        results: dict[int, Hypothesis] = {}
        for share, future in zip(shares, waiting, strict=True):
            results.update(zip(share, future.result(), strict=True))
        return [results[index] for index in range(len(clips))]

    def score(self, clip: Clip, texts: Sequence[str], language: str) -> list[float]:
        """Return the mean log-probability per token of each text for the clip."""
        with self._replica() as engine:
            return engine.score(clip, texts, language)

    def letters(self, clip: Clip) -> Letters | None:
        """Return what a clip sounds like by letters; replicas of one engine share what they heard."""
        return self._first.letters(clip)

    def close(self) -> None:
        """Stop the pool's threads once their work is done."""
        self._threads.shutdown()

    def _decode(self, clips: Sequence[Clip], options: DecodeOptions) -> list[Hypothesis]:
        with self._replica() as engine:
            return engine.decode(clips, options)

    @contextmanager
    def _replica(self) -> Iterator[Engine]:
        engine = self._free.get()
        try:
            yield engine
        finally:
            self._free.put(engine)


def _shares(clips: Sequence[Clip], count: int) -> list[list[int]]:
    """Deal indices out, longest clip first, each to the share with the least audio."""
    shares: list[list[int]] = [[] for _ in range(count)]
    loads = [0] * count
    for index in sorted(range(len(clips)), key=lambda one: len(clips[one].samples), reverse=True):
        lightest = loads.index(min(loads))
        shares[lightest].append(index)
        loads[lightest] += len(clips[index].samples)
    return shares
