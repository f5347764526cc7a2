from __future__ import annotations

from collections import Counter

import pytest
from planted import PLANTERS, plant, reword
from spoken_planted import CONTRASTS, QUANTITIES, plant_spoken, reword_spoken

from medstt.metrics.align import align
from medstt.metrics.critical import Finding, find_critical
from medstt.text.normalise import canonicalise


def findings(reference: str, hypothesis: str, language: str) -> list[Finding]:
    said, heard = canonicalise(reference, language), canonicalise(hypothesis, language)
    alignment = align([token.text for token in said], [token.text for token in heard])
    return find_critical(said, heard, alignment, language)[1]


@pytest.mark.parametrize("kind", list(PLANTERS))
def test_planted_errors_are_found(kind: str) -> None:
    planted = plant(kind, 100)
    missed = [row for row in planted if kind not in {f.kind for f in findings(row[1], row[2], row[0])}]
    assert len(missed) <= 2, missed


@pytest.mark.parametrize("kind", list(PLANTERS))
def test_planted_errors_are_counted_once_and_as_nothing_else(kind: str) -> None:
    others: Counter[str] = Counter()
    for language, text, wrong in plant(kind, 100, seed=1):
        others.update(f"{f.kind}" for f in findings(text, wrong, language))
    assert others[kind] <= 102
    assert sum(number for other, number in others.items() if other != kind) <= 4, others


def test_harmless_rewording_is_no_error() -> None:
    alarms = [(row, found) for row in reword(200) if (found := findings(row[1], row[2], row[0]))]
    assert len(alarms) <= 4, alarms


# Kinds that the committed hypotheses of medstt-mini-base and medstt-mini have room for, and how often at least.
# Newer ones: `python tests/metrics/spoken_planted.py RUN...` of runs on critical and numbers, where all kinds occur.
FEWEST = {"negation": 30, "side": 60, "quantity": 30, "unit": 3}


@pytest.mark.parametrize("kind", list(CONTRASTS))
def test_errors_planted_into_what_a_model_wrote_are_found(kind: str) -> None:
    planted = plant_spoken(kind, 100)
    wanted = QUANTITIES if kind == "quantity" else {kind}
    missed = [row for row in planted if not wanted & {f.kind for f in findings(row[1], row[2], row[0])}]
    assert len(planted) >= FEWEST.get(kind, 0)
    assert len(missed) <= len(planted) // 50, missed


def test_harmless_rewording_of_what_a_model_wrote_is_no_error() -> None:
    reworded = reword_spoken()
    alarms = [(row, found) for row in reworded if (found := findings(row[1], row[2], row[0]))]
    assert len(reworded) >= 50
    assert len(alarms) <= len(reworded) // 50, alarms
