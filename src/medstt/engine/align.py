"""Word times from cross-attention: which encoder position each token looked at, made monotone by dynamic time warping.

The method is openai-whisper's (normalise, median filter, average the heads, warp); the warping itself is vectorised by
rows. Knows nothing of models or text.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medstt.engine.backend import Array

POSITION_MS = 20
_FILTER = 7  # encoder positions


def token_starts(attention: Array) -> npt.NDArray[np.int64]:
    """Return the position at which each token begins, from attention (heads, tokens, positions); never decreasing."""
    mean = attention.mean(axis=1, keepdims=True)
    spread = np.maximum(attention.std(axis=1, keepdims=True), 1e-9)
    matrix = _median((attention - mean) / spread).mean(axis=0)
    return _warp(-matrix)


def _median(weights: Array) -> Array:
    half = _FILTER // 2
    if weights.shape[-1] <= half:
        return weights
    padded = np.pad(weights, ((0, 0), (0, 0), (half, half)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _FILTER, axis=-1)
    middle: Array = np.partition(windows, half, axis=-1)[..., half]
    return middle


def _warp(cost: Array) -> npt.NDArray[np.int64]:
    """Return the first column of each row on the cheapest monotone path through ``cost`` (rows, columns).

    Within one row ``total[j] = cost[j] + min(entry[j], total[j - 1])``, where ``entry`` comes from the row above;
    with the running sum S of the costs that is ``S[j] + min over k <= j of (entry[k] - S[k - 1])``.
    """
    rows, columns = cost.shape
    came_from = np.zeros((rows, columns), np.int64)  # column at which the row above was left
    entered = np.zeros((rows, columns), np.int64)  # column at which this row was entered
    entry = np.concatenate([[0.0], np.full(columns - 1, np.inf)])
    index = np.arange(columns)
    for row in range(rows):
        sums = np.cumsum(cost[row].astype(np.float64))
        waiting = entry - (sums - cost[row])
        best = np.minimum.accumulate(waiting)
        entered[row] = np.maximum.accumulate(np.where(waiting == best, index, 0))
        total = best + sums
        diagonal = np.concatenate([[np.inf], total[:-1]])
        came_from[row] = np.where(diagonal <= total, index - 1, index)
        entry = np.minimum(diagonal, total)
    starts = np.zeros(rows, np.int64)
    column = columns - 1
    for row in range(rows - 1, -1, -1):
        starts[row] = entered[row, column]
        if row:
            column = int(came_from[row - 1, starts[row]])
    return starts
