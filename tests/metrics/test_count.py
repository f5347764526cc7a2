from __future__ import annotations

import itertools

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medstt.metrics import ErrorCounts, char_errors, word_errors
from medstt.metrics.align import align
from medstt.metrics.count import token_errors

WORDS = st.lists(st.sampled_from("no chest pain left lung mild of the a fever".split()), max_size=12)


def test_a_hand_counted_case() -> None:
    counts = word_errors("the left lung is clear", "so the right lung clear", level="plain")
    assert (counts.hits, counts.substitutions, counts.deletions, counts.insertions) == (3, 1, 1, 1)
    assert counts.rate == 3 / 5
    assert counts.match_error_rate == 3 / 6
    assert counts.information_lost == pytest.approx(1 - (3 / 5) * (3 / 5))


def test_the_normaliser_decides_whether_a_spelling_is_an_error() -> None:
    assert word_errors("five milligrams", "5 mg").errors == 0
    assert word_errors("five milligrams", "5 mg", level="plain").errors == 2
    assert word_errors("Zwölf Milligramm", "12 mg", "de").errors == 0


def test_characters_are_counted_with_their_spaces() -> None:
    assert char_errors("ab c", "ab d").rate == 1 / 4


def test_unscored_is_not_zero_and_an_empty_reference_is_counted() -> None:
    counts = word_errors("", "thank you")
    assert counts.rate is None
    assert (counts.empty_references, counts.invented, counts.insertions) == (1, 2, 2)
    assert word_errors("no fever", "").information_lost == 1.0
    assert word_errors("", "").match_error_rate is None


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS.filter(bool), WORDS), min_size=1, max_size=6))
def test_pooled_counts_are_those_of_jiwer(pairs: list[tuple[list[str], list[str]]]) -> None:
    counts = sum((token_errors(r, h) for r, h in pairs), ErrorCounts())
    peer = jiwer.process_words([" ".join(r) for r, _ in pairs], [" ".join(h) for _, h in pairs])
    assert counts.rate == pytest.approx(peer.wer)
    assert counts.match_error_rate == pytest.approx(peer.mer)
    assert counts.information_lost == pytest.approx(peer.wil)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_an_alignment_accounts_for_every_word_once(reference: list[str], hypothesis: list[str]) -> None:
    counts, back = token_errors(reference, hypothesis), token_errors(hypothesis, reference)
    assert counts.reference_length == len(reference)
    assert counts.hypothesis_length == len(hypothesis)
    assert counts.errors == back.errors
    assert abs(len(reference) - len(hypothesis)) <= counts.errors <= max(len(reference), len(hypothesis))
    alignment = align(reference, hypothesis)
    assert sum(alignment.hits()) == counts.hits
    regions = list(alignment.regions())
    assert all(a.ref_end < b.ref_start and a.hyp_end < b.hyp_start for a, b in itertools.pairwise(regions))


@given(st.lists(st.builds(ErrorCounts, *[st.integers(0, 50)] * 8), min_size=3, max_size=3))
def test_counts_add_in_any_order(counts: list[ErrorCounts]) -> None:
    a, b, c = counts
    assert (a + b) + c == a + (b + c) == sum([c, b, a])
