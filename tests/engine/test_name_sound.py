"""Names spelt like what was heard: found among few that are looked at, as if all had been."""

from __future__ import annotations

import time

import pytest
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from medstt.engine.bias.sound import SoundIndex, bare
from medstt.vocab import load_lexicon
from medstt.vocab.benchmark import make_terms
from medstt.vocab.bias import BIASED_KINDS

LEXICON = load_lexicon("de")


@pytest.mark.parametrize("heard", ["metoprolul", "appen dizitis", "x", "", "rami pril fünf", "äöüß", "a" * 300])
def test_the_nearest_names_are_those_of_the_whole_list(heard: str) -> None:
    names: dict[str, str] = {}
    for term in LEXICON:
        if term.kind in BIASED_KINDS:
            for spoken in (term.text, *term.spoken):
                names.setdefault(bare(spoken), term.text)
    expected: dict[str, float] = {}
    whole = process.extract(
        bare(heard), list(names), scorer=Levenshtein.normalized_similarity, limit=12, score_cutoff=0.5
    )
    for key, likeness, _ in whole:
        expected[names[key]] = max(likeness, expected.get(names[key], 0.0))
    assert SoundIndex(LEXICON).near(heard, "de", 12) == list(expected.items())


def test_a_list_of_another_language_has_no_names() -> None:
    assert SoundIndex(LEXICON).near("metoprolol", "en", 12) == []


def test_most_of_a_long_list_is_not_compared_letter_by_letter() -> None:
    terms = make_terms(20_000)
    index = SoundIndex(load_lexicon("de", builtin=False).extended(terms))
    keys = [bare(term.text) for term in terms]
    index.near("metoprolul", "de", 12)
    ours, whole = [], []
    for _ in range(10):
        started = time.process_time()
        index.near("metoprolul", "de", 12)
        between = time.process_time()
        process.extract("metoprolul", keys, scorer=Levenshtein.normalized_similarity, limit=12, score_cutoff=0.5)
        ours.append(between - started)
        whole.append(time.process_time() - between)
    assert min(ours) < 0.6 * min(whole)  # a quarter
