from __future__ import annotations

import numpy as np
import pytest

from medstt.engine.align import _warp, token_starts


def plain_warp(cost: np.ndarray) -> tuple[float, list[int]]:
    """Return the cheapest path's cost and each row's first column, cell by cell."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            total[i, j] = cost[i - 1, j - 1] + min(total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
    i, j = rows, columns
    starts = [0] * rows
    while i > 0 and j > 0:
        starts[i - 1] = j - 1
        i, j = min(((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda cell: total[cell])
    return total[rows, columns], starts


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 5), (7, 3), (6, 40), (30, 120)])
@pytest.mark.parametrize("seed", range(3))
def test_warping_by_rows_is_warping_by_cells(shape: tuple[int, int], seed: int) -> None:
    cost = np.random.default_rng(seed).standard_normal(shape)
    assert _warp(cost).tolist() == plain_warp(cost)[1]


def test_tokens_start_where_their_attention_lies() -> None:
    edges = [0, 30, 42, 90, 120, 150]
    random = np.random.default_rng(0)
    attention = random.random((4, 5, 150)).astype(np.float32) * 0.01
    for token in range(5):
        attention[:3, token, edges[token] : edges[token + 1]] += 0.2  # one head of four does not follow time
    starts = token_starts(attention)
    assert np.abs(starts - edges[:5]).max() <= 4
    assert np.all(np.diff(starts) >= 0)
