"""Numbers are spoken the way they are dictated, in words only."""

from __future__ import annotations

import random
import re

import pytest

from medstt.synth.number import GENERATORS, cardinal, decimal
from medstt.values import LANGUAGES, Language


def test_known_readings() -> None:
    assert cardinal(121, "en") == "one hundred twenty one"
    assert cardinal(121, "de") == "einhunderteinundzwanzig"
    assert decimal(47.5, "en") == "forty seven point five"
    assert decimal(0.125, "de") == "null Komma eins zwei fünf"


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_generator_speaks_words(name: str, lang: Language) -> None:
    rng = random.Random(1)
    said = [GENERATORS[name](rng, lang) for _ in range(200)]
    assert all(re.fullmatch(r"[a-zA-ZäöüßÄÖÜ]+( [a-zA-ZäöüßÄÖÜ]+)*", text) for text in said), said
    assert len(set(said)) > 10
    again = random.Random(1)
    assert said == [GENERATORS[name](again, lang) for _ in range(200)]


def test_pressures_are_never_read_with_a_zero() -> None:
    rng = random.Random(2)
    assert not any("zero over" in GENERATORS["pressure"](rng, "en") for _ in range(2000))
