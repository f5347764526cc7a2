"""What listening for names costs a stock model: random weights of its true shape, CPU seconds by size of list, and
what a list itself takes: to compile, to keep, to switch to.

Figures of speed, not of accuracy. Knows nothing of terminals.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from medstt.benchmark.measure import invented_speech
from medstt.benchmark.model import find_shape, write_random_model
from medstt.engine import load_engine
from medstt.engine.bias import BiasOptions, NameLists, TrieBias
from medstt.engine.protocol import Bias, Clip, DecodeOptions, Engine
from medstt.evaluate.listening_report import Cost
from medstt.values import Segment
from medstt.vocab import load_lexicon
from medstt.vocab.benchmark import make_terms

SECONDS = 6.0
TOKENS = 30
_SWITCHES = 1000


def measure_stock(shape: str, sizes: Sequence[int], repeat: int = 3) -> list[Cost]:
    """Decode a clip with a list of each size, in turns, after one round that does not count; medians of ``repeat``.

    The text never ends, so a search with five beams follows the greedy one. Raises OptionError for an unknown shape.
    """
    with tempfile.TemporaryDirectory(prefix="medstt-") as name:
        folder = write_random_model(Path(name) / shape, find_shape(shape))
        engine = load_engine(folder, shape, cache=None)
        made = {size: _make(engine, size) for size in sizes}
        biases = {size: bias for size, (bias, _) in made.items()}
        samples = invented_speech(SECONDS)
        decode = DecodeOptions("en", max_tokens=TOKENS, word_times=False)
        spent: dict[int, list[float]] = {size: [] for size in biases}
        for turn in range(repeat + 1):
            for size, bias in biases.items():
                fresh = samples.copy()  # what was heard before would not be encoded again
                started = time.process_time()
                engine.decode([Clip(fresh, Segment(0, int(SECONDS * 1000)), bias)], decode)
                if turn:
                    spent[size].append(time.process_time() - started)
    return [replace(made[size][1], cpu_s=median(times)) for size, times in spent.items()]


def _make(engine: Engine, size: int) -> tuple[Bias | None, Cost]:
    """Return a list of so many terms, and what it took to compile it and takes to find it again."""
    if not size:
        return None, Cost(0, 0.0)
    lexicon = load_lexicon("en", builtin=False).extended(make_terms(size))
    lists, options = NameLists(), BiasOptions(builtin=1.0, entry=0.25)
    started = time.process_time()
    bias = lists.open(engine, lexicon, options).bias
    compiled = time.process_time()
    for _ in range(_SWITCHES):
        lists.open(engine, lexicon, options)
    switch_ms = (time.process_time() - compiled) * 1000 / _SWITCHES
    size_bytes = bias.size_bytes if isinstance(bias, TrieBias) else 0
    return bias, Cost(size, 0.0, compiled - started, size_bytes / 2**20, switch_ms)
