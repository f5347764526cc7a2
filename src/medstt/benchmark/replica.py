"""How much more two replicas do than one: clips per minute of a pool, by wall clock.

Knows nothing of other systems.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medstt.benchmark.measure import invented_speech
from medstt.engine import EnginePool, load_engine
from medstt.engine.protocol import Clip, DecodeOptions
from medstt.values import Segment


@dataclass(frozen=True, slots=True)
class Throughput:
    """Clips a minute with so many replicas, the best of the runs."""

    replicas: int
    clips_per_minute: float


def measure_replicas(
    model: Path, cache: Path, counts: Sequence[int], *, seconds: float, clips: int, repeat: int
) -> list[Throughput]:
    """Decode ``clips`` clips of ``seconds`` with pools of several sizes in turn, ``repeat`` times after a warm-up."""
    engine = load_engine(model, "random", cache=cache)
    pools = [EnginePool([engine, *(engine.replicate() for _ in range(count - 1))]) for count in counts]
    samples = invented_speech(seconds)
    work = [Clip(samples, Segment(0, int(seconds * 1000))) for _ in range(clips)]
    options = DecodeOptions(language="en", max_tokens=20)
    best = dict.fromkeys(counts, float("inf"))
    for pool in pools:
        pool.decode(work[: pool.size], options)
    for _ in range(repeat):
        for pool in pools:
            start = time.perf_counter()
            pool.decode(work, options)
            best[pool.size] = min(best[pool.size], time.perf_counter() - start)
    for pool in pools:
        pool.close()
    return [Throughput(count, 60 * clips / best[count]) for count in counts]
