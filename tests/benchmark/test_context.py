"""Both contexts are measured on the same utterances, by language and together, and stand side by side."""

from __future__ import annotations

from pathlib import Path

from medstt.benchmark.context import ContextCost, format_contexts, measure_contexts
from medstt.benchmark.model import RandomShape, write_random_model
from medstt.evaluate.item import items_of
from medstt.metrics import ErrorCounts
from medstt.values import Utterance

SPEECH = Path(__file__).parents[1] / "data" / "speech"


def test_both_contexts_hear_the_same_utterances(tmp_path: Path) -> None:
    model = write_random_model(tmp_path / "model", RandomShape(64, 1, 1, 2, 80, 2_000, 3), dynamic=False)
    said = [Utterance(one, "chest_pain.flac", "chest pain", one, 0, 1500) for one in ("en", "de")]
    costs = measure_contexts(str(model), tmp_path, items_of(said, SPEECH))
    assert [(cost.language, cost.context) for cost in costs] == [
        (language, context) for language in ("de", "en", "") for context in ("dynamic", "full")
    ]
    assert [cost.errors.utterances for cost in costs] == [1, 1, 1, 1, 2, 2]
    assert all(cost.cpu_s > 0 and cost.audio_s >= 1.5 for cost in costs)


def test_the_table_gives_rates_and_ratios() -> None:
    few, many = ErrorCounts(hits=9, substitutions=1, utterances=2), ErrorCounts(hits=8, deletions=2, utterances=2)
    costs = [ContextCost("", "dynamic", few, 0.5, 30.0), ContextCost("", "full", many, 2.0, 30.0)]
    table = format_contexts(costs).splitlines()
    assert table[2] == "| all | own length | 2 | 10.0% | 1 | 0 | 0 | 1.00 | 1.00 |"
    assert table[3] == "| all | padded to 30 s | 2 | 20.0% | 0 | 2 | 0 | 4.00 | 4.00 |"
