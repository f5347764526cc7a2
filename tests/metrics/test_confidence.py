from __future__ import annotations

import pytest

from medstt.metrics.confidence import JudgedWord, bin_counts, errors_found, judge_words, reliability
from medstt.metrics.invented import has_loop, longest_repeat


def test_words_are_judged_against_the_reference_in_plain_form() -> None:
    words = judge_words("No chest pain.", [("no", 0.9), ("chess", 0.3), ("pain,", 0.8), ("now", None)])
    assert [(word.confidence, word.right) for word in words] == [(0.9, True), (0.3, False), (0.8, True)]


def test_reliability_and_counts_per_bin() -> None:
    words = [JudgedWord(0.95, True)] * 9 + [JudgedWord(0.95, False)] + [JudgedWord(0.25, False)] * 2
    counts = bin_counts(words)
    assert counts["confident_words"] == 12
    assert reliability(counts) == [(pytest.approx(0.25), 0.0, 2), (pytest.approx(0.95), 0.9, 10)]


def test_errors_found_by_reading_the_least_certain_words() -> None:
    words = [JudgedWord(0.1, False)] * 5 + [JudgedWord(0.9, True)] * 90 + [JudgedWord(0.95, False)] * 5
    assert errors_found(words) == {0.05: 0.5, 0.10: 0.5, 0.20: 0.5}
    tied = [JudgedWord(0.5, False)] * 50 + [JudgedWord(0.5, True)] * 50
    assert errors_found(tied)[0.10] == pytest.approx(0.10)
    assert errors_found([JudgedWord(0.5, True)])[0.05] is None


def test_loops_are_repeats_that_were_not_said() -> None:
    assert longest_repeat("a b c".split()) == 1
    assert longest_repeat("no no no".split()) == 3
    assert longest_repeat("thank you thank you thank you".split()) == 3
    assert longest_repeat([]) == 0
    assert has_loop("the end".split(), "the the the end".split())
    assert not has_loop("one one one".split(), "one one one".split())
