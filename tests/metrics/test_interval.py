from __future__ import annotations

import numpy as np
import pytest

from medstt.metrics.interval import (
    cluster_rows,
    percentile_interval,
    permutation_p,
    permute_sums,
    resample_sums,
    upper_bound_of_none,
)


def test_bootstrap_interval_covers_the_true_rate_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        words = rng.integers(5, 20, 120)
        counts = np.stack([rng.binomial(words, 0.1), words], axis=1).astype(np.int64)
        sums = resample_sums(counts, 300, trial)
        interval = percentile_interval(sums[:, 0] / sums[:, 1])
        assert interval is not None
        covered += interval[0] <= 0.1 <= interval[1]
    assert 180 <= covered <= 198


def test_speakers_are_resampled_whole_and_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    speakers = np.repeat(np.arange(20), 30)
    difficulty = rng.uniform(0, 0.4, 20)[speakers]
    counts = np.stack([rng.binomial(10, difficulty), np.full(600, 10)], axis=1).astype(np.int64)
    labels = [f"s{speaker}" for speaker in speakers]

    def width(rows: np.ndarray) -> float:
        sums = resample_sums(rows, 500, 1)
        low, high = percentile_interval(sums[:, 0] / sums[:, 1]) or (0.0, 0.0)
        return high - low

    clustered = cluster_rows(counts, labels)
    assert clustered.shape == (20, 2)
    assert (clustered.sum(axis=0) == counts.sum(axis=0)).all()
    assert width(clustered) > 2 * width(counts)


def test_few_speakers_leave_utterances_as_they_are() -> None:
    counts = np.arange(12, dtype=np.int64).reshape(6, 2)
    assert cluster_rows(counts, ["a", "b", "a", "b", "a", "b"]) is counts


def test_the_same_seed_draws_the_same_samples() -> None:
    counts = np.arange(40, dtype=np.int64).reshape(20, 2)
    assert (resample_sums(counts, 150, 7) == resample_sums(counts, 150, 7)).all()
    assert resample_sums(counts, 150, 7).shape == (150, 2)


def test_permutation_finds_a_difference_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(3)
    words = np.full(300, 12)

    def p_value(first_rate: float, second_rate: float) -> float:
        first = np.stack([rng.binomial(words, first_rate), words], axis=1).astype(np.int64)
        second = np.stack([rng.binomial(words, second_rate), words], axis=1).astype(np.int64)
        a, b = permute_sums(first, second, 500, 1)
        observed = first[:, 0].sum() / words.sum() - second[:, 0].sum() / words.sum()
        return permutation_p(observed, a[:, 0] / a[:, 1] - b[:, 0] / b[:, 1])

    assert p_value(0.10, 0.16) < 0.01
    assert p_value(0.10, 0.10) > 0.05
    same = np.ones((10, 2), dtype=np.int64)
    a, b = permute_sums(same, same, 50, 1)
    assert permutation_p(0.0, a[:, 0] - b[:, 0]) == 1.0


def test_no_error_in_few_events_is_no_proof() -> None:
    assert upper_bound_of_none(5) == pytest.approx(0.5218, abs=1e-3)
    assert upper_bound_of_none(1000) < 0.004
    assert percentile_interval(np.array([np.nan, np.nan, 0.1])) is None
