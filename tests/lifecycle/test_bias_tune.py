"""Learning how strongly to listen: what counts as harmless, what wins, and where it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medstt.engine.bias import BiasOptions, NameLists, parse_bias_options
from medstt.engine.fake import FakeEngine
from medstt.errors import DataError
from medstt.evaluate.listening import NO_DRUG, Outcome
from medstt.evaluate.table import Estimate
from medstt.lifecycle.bias_tune import MOST_SPURIOUS, MOST_WER_LOSS, Tuned, choose, tune_bias, write_tuned


def outcome(missed: float, wer: float = 0.1, swaps: float = 0.0, spurious: float = 0.01) -> Outcome:
    def one(value: float) -> Estimate:
        return Estimate(value, None, None, 0, 100, True)

    rates = {
        "all": {"drug_miss": one(missed), "twin_swap": one(swaps), "term_spurious": one(spurious)},
        NO_DRUG: {"wer_content": one(wer)},
    }
    return Outcome("", rates, 0.0, None)  # type: ignore[arg-type]


WITHOUT = outcome(0.8)


def test_the_harmless_values_that_miss_the_fewest_drugs_win() -> None:
    weak, strong, wild = BiasOptions(boost=0.5), BiasOptions(boost=1.0), BiasOptions(boost=2.0)
    tried = [(weak, outcome(0.6)), (strong, outcome(0.5)), (wild, outcome(0.2, wer=0.2))]
    assert choose(WITHOUT, tried) == strong
    assert choose(WITHOUT, [(strong, outcome(0.5)), (weak, outcome(0.5))]) == weak  # of equal ones the weakest


@pytest.mark.parametrize(
    "harmful",
    [
        outcome(0.2, wer=0.1 + 2 * MOST_WER_LOSS),
        outcome(0.2, swaps=0.01),
        outcome(0.2, spurious=0.01 + 2 * MOST_SPURIOUS),
        outcome(0.8),
    ],
)
def test_what_does_harm_or_gains_nothing_is_never_chosen(harmful: Outcome) -> None:
    assert choose(WITHOUT, [(BiasOptions(), harmful)]) is None


def test_speech_of_one_kind_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="speech with drugs and speech without"):
        tune_bias(FakeEngine(), [], {}, NameLists(tmp_path))


def test_the_values_go_into_the_card_and_leave_the_rest_of_it(tmp_path: Path) -> None:
    card = {"name": "m", "audio_context": "dynamic", "note": "kept", "verdict": None}
    (tmp_path / "card.json").write_text(json.dumps(card))
    chosen = BiasOptions(boost=1.5, builtin=1.0)
    write_tuned(tmp_path, Tuned(chosen, (), WITHOUT, True), {"tuned_on": "digest", "beam": 1})
    written = json.loads((tmp_path / "card.json").read_text())
    assert parse_bias_options(written, "card.json") == chosen
    assert written["bias"]["tuned_on"] == "digest"
    assert (written["note"], written["audio_context"]) == ("kept", "dynamic")
