"""Measuring what listening for names gains and costs: groups, lists of every size, arms in turn, the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from medstt.engine.bias import NameLists
from medstt.engine.fake import FakeEngine
from medstt.evaluate.item import Item
from medstt.evaluate.listening import (
    ABSENT,
    HEARD,
    NO_DRUG,
    UNHEARD,
    Arm,
    Outcome,
    compare_arms,
    group_items,
    is_absent,
    make_lists,
    outcome_rows,
    sample_groups,
)
from medstt.evaluate.listening_report import Cost, percent, report_text, table_text, verdict_text
from medstt.evaluate.table import Estimate
from medstt.values import RATE_HZ, Utterance
from medstt.vocab import Lexicon, load_lexicon
from medstt.vocab.holdout import is_held_out


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return load_lexicon("en")


def drug(lexicon: Lexicon, *, held: bool, absent: bool | None = None) -> str:
    """Return the first one-word drug that is (not) held out, and in lists or not."""
    return next(
        term.text
        for term in lexicon
        if term.kind == "drug"
        and term.text.isalpha()
        and is_held_out(term.en or term.text) == held
        and absent in (None, is_absent(term.text))
    )


@pytest.fixture(scope="module")
def items(lexicon: Lexicon, tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Four English utterances, one of each group, twice; the audio is noise."""
    folder = tmp_path_factory.mktemp("listening")
    heard = drug(lexicon, held=False)
    never, absent = drug(lexicon, held=True, absent=False), drug(lexicon, held=True, absent=True)
    texts = [f"continue {heard}", f"stop {never}", f"start {absent}", "the patient is well"]
    found = []
    for number, text in enumerate(texts * 2):
        path = folder / f"{number}.wav"
        noise = np.random.default_rng(number).standard_normal(RATE_HZ) * 0.1
        soundfile.write(path, noise.astype(np.float32), RATE_HZ)
        found.append(Item(f"u{number}", "", path, Utterance(f"u{number}", path.name, text, "en", speaker="v")))
    return group_items(found)


def test_utterances_are_grouped_by_their_strangest_drug(items: Sequence[Item]) -> None:
    assert [item.utterance.tags["names"] for item in items] == [HEARD, UNHEARD, ABSENT, NO_DRUG] * 2
    sampled = sample_groups(items, 1)
    assert sorted(item.utterance.tags["names"] for item in sampled) == sorted([HEARD, UNHEARD, ABSENT, NO_DRUG])
    assert sampled == sample_groups(items, 1)


def test_lists_hold_the_names_never_heard_first_and_never_those_that_are_to_be_absent(
    items: Sequence[Item], lexicon: Lexicon
) -> None:
    assert make_lists(items, 0) is None
    never, absent = drug(lexicon, held=True, absent=False), drug(lexicon, held=True, absent=True)
    for size in (1, 100, len(lexicon) + 500):
        lists = make_lists(items, size)
        assert lists is not None
        names = {term.text for term in lists["en"]}
        assert len(lists["en"]) == size
        assert never in names
        assert absent not in names


def test_arms_are_asked_in_turn_and_compared_on_the_same_speech(items: Sequence[Item], tmp_path: Path) -> None:
    engine = FakeEngine(otherwise="the patient is well")
    arms = [Arm("0 terms", None), Arm("10000 terms", {language: load_lexicon(language) for language in ("en", "de")})]
    seen: list[int] = []
    without, listed = compare_arms(
        engine, items, arms, NameLists(tmp_path), draws=50, progress=lambda done, total: seen.append(done)
    )
    assert seen == list(range(1, 9))
    assert {"all", "en", UNHEARD, NO_DRUG, f"{UNHEARD}, en", f"{NO_DRUG}, v"} <= set(without.rates)
    (row, _) = outcome_rows([without, listed])
    assert row["rates"][UNHEARD]["drug_miss"]["events"] == 2
    missed = [one.value("all", "drug_miss") for one in (without, listed)]
    assert missed == [1.0, 1.0]  # the fake engine says no drug and cannot listen
    text = report_text("Listening", {"model": "fake"}, [without, listed], "stock", [Cost(0, 1.0), Cost(10_000, 1.05)])
    for part in ("missed: never heard", "invented terms", "## English", "| v | 2 |", "+5.0 %", "NOT reached"):
        assert part in text


def estimated(value: float, events: int = 100) -> Estimate:
    return Estimate(value, value - 0.05, value + 0.05, round(value * events), events, True)


def outcome(label: str, missed: float, wer: float, swaps: float) -> Outcome:
    rates = {
        "all": {"twin_swap": estimated(swaps)},
        UNHEARD: {"drug_miss": estimated(missed)},
        NO_DRUG: {"wer_content": estimated(wer), "term_spurious": estimated(0.1)},
    }
    return Outcome(label, rates, 10.0, None)  # type: ignore[arg-type]


def test_the_verdict_holds_gains_against_costs() -> None:
    without = outcome("0 terms", 0.8, 0.1, 0.02)
    good, bad = outcome("10000 terms", 0.5, 0.102, 0.02), outcome("10000 terms", 0.7, 0.11, 0.05)
    assert [line.endswith(", reached") for line in verdict_text([without, good])] == [True] * 3
    assert [line.endswith("NOT reached") for line in verdict_text([without, bad])] == [True] * 3
    assert verdict_text([without, replace(good, label="100 terms")]) == []
    assert "50.0 (45.0-55.0)" in table_text([without, good])
    assert percent(estimated(0.8), rest=True) == "20.0 (15.0-25.0)"
    assert percent(None) == "-"
