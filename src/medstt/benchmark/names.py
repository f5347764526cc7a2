"""What listening for names costs a stock model: random weights of its true shape, CPU seconds by size of list.

Figures of speed, not of accuracy. Knows nothing of terminals.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from medstt.benchmark.measure import invented_speech
from medstt.benchmark.model import find_shape, write_random_model
from medstt.engine import load_engine
from medstt.engine.bias import BiasOptions, TrieBias, compile_bias, token_table
from medstt.engine.protocol import Clip, DecodeOptions
from medstt.evaluate.listening_report import Cost
from medstt.values import Segment
from medstt.vocab import BiasPhrase
from medstt.vocab.benchmark import make_terms

SECONDS = 6.0
TOKENS = 30


def measure_stock(shape: str, sizes: Sequence[int], repeat: int = 3) -> list[Cost]:
    """Decode a clip with a list of each size, in turns, after one round that does not count; medians of ``repeat``.

    The text never ends, so a search with five beams follows the greedy one. Raises OptionError for an unknown shape.
    """
    with tempfile.TemporaryDirectory(prefix="medstt-") as name:
        folder = write_random_model(Path(name) / shape, find_shape(shape))
        engine = load_engine(folder, shape, cache=None)
        table = token_table(engine)
        options = BiasOptions(builtin=1.0, entry=0.25)
        biases: dict[int, TrieBias | None] = {}
        for size in sizes:
            listed = [BiasPhrase(term.text, (), 1.0, "site") for term in make_terms(size)]
            biases[size] = compile_bias(table, listed, options).bias if size else None
        samples = invented_speech(SECONDS)
        decode = DecodeOptions("en", max_tokens=TOKENS, word_times=False)
        spent: dict[int, list[float]] = {size: [] for size in biases}
        for turn in range(repeat + 1):
            for size, bias in biases.items():
                started = time.process_time()
                engine.decode([Clip(samples, Segment(0, int(SECONDS * 1000)), bias)], decode)
                if turn:
                    spent[size].append(time.process_time() - started)
    return [Cost(size, median(times)) for size, times in spent.items()]
