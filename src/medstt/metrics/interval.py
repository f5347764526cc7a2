"""Intervals and tests over sums: bootstrap (clustered, paired) and permutation, vectorised over count tables.

A table has one row per utterance and one column per count; a rate is a function of the column sums, so every draw
pools counts and never averages percentages (Bisani and Ney 2004). Knows nothing of what the columns mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_CHUNK = 100
FEWEST_CLUSTERS = 20  # below this, resampling speakers says little: utterances are resampled instead


def cluster_rows(counts: Counts, labels: Sequence[str]) -> Counts:
    """Sum the rows of each cluster, shape (clusters, columns); too few clusters leave the rows as they are.

    Rows without a label are clusters of their own.
    """
    names = [label or f"\0{index}" for index, label in enumerate(labels)]
    unique, where = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)
    if len(unique) < FEWEST_CLUSTERS:
        return counts
    sums = np.zeros((len(unique), counts.shape[1]), dtype=np.int64)
    np.add.at(sums, where, counts)
    return sums


def resample_sums(rows: Counts, draws: int, seed: int) -> Floats:
    """Return the column sums of ``draws`` bootstrap samples of the rows, shape (draws, columns)."""
    return np.concatenate(list(_weighted(rows, draws, seed)), axis=0) if len(rows) else np.zeros((draws, rows.shape[1]))


def _weighted(rows: Counts, draws: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    size = len(rows)
    values = rows.astype(np.float64)
    for start in range(0, draws, _CHUNK):
        count = min(_CHUNK, draws - start)
        picks = rng.integers(0, size, (count, size)) + np.arange(count)[:, None] * size
        weights = np.bincount(picks.ravel(), minlength=count * size).reshape(count, size)
        yield weights.astype(np.float64) @ values


def permute_sums(first: Counts, second: Counts, draws: int, seed: int) -> tuple[Floats, Floats]:
    """Return the column sums of both systems under ``draws`` random exchanges of whole rows (clusters)."""
    rng = np.random.default_rng(seed)
    total = (first + second).sum(axis=0).astype(np.float64)
    difference = (first - second).astype(np.float64)
    parts = [
        rng.choice(np.array([-1.0, 1.0]), (min(_CHUNK, draws - start), len(first))) @ difference
        for start in range(0, draws, _CHUNK)
    ]
    swing = np.concatenate(parts, axis=0)
    return (total + swing) / 2, (total - swing) / 2


def percentile_interval(values: Floats, level: float = 0.95) -> tuple[float, float] | None:
    """Return the central interval of the finite values; None if fewer than half of the draws are finite."""
    finite = values[np.isfinite(values)]
    if len(finite) * 2 < len(values) or not len(finite):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def upper_bound_of_none(events: int, level: float = 0.95) -> float:
    """Return the upper bound of a rate of which no error was seen: 1 - ((1 - level) / 2) ^ (1 / n), Clopper-Pearson.

    A bootstrap of zeros says 0..0, which would call five clean utterances proof.
    """
    return 1.0 - ((1.0 - level) / 2) ** (1.0 / events) if events else 1.0


def permutation_p(observed: float, permuted: Floats) -> float:
    """Return the two-sided p-value of a difference among permuted differences (with the observed one counted in)."""
    finite = permuted[np.isfinite(permuted)]
    return float((1 + np.count_nonzero(np.abs(finite) >= abs(observed) - 1e-12)) / (1 + len(finite)))
