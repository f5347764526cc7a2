from __future__ import annotations

from collections import Counter

import pytest
from planted import PLANTERS, plant, reword

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
