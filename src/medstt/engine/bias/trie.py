"""A prefix tree over token rows as flat arrays, with what each step is worth and what an abandoned phrase gives back.

Knows nothing of text or of searching.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from medstt.engine.bias.phrase import PAD, Floats, Ints

ROOT = 0


@dataclass(frozen=True, slots=True, eq=False)
class Trie:
    """Nodes 0 (the root) to n - 1; the children of node i are the edges ``first[i]``..``first[i + 1]``.

    Per edge, sorted by node and token: ``tokens``, ``children`` (nodes), ``values`` (nats given for taking it). Per
    node: ``open`` is what was given since the last whole phrase on the way, ``whole`` the sum given where a phrase
    ends here, else 0.
    """

    first: Ints
    tokens: Ints
    children: Ints
    values: Floats
    open: Floats
    whole: Floats

    @property
    def nodes(self) -> int:
        """Number of nodes, the root counted."""
        return len(self.open)

    @property
    def size_bytes(self) -> int:
        """Memory of all arrays."""
        return sum(getattr(self, item.name).nbytes for item in fields(self))


def build_trie(rows: Ints, weights: Floats, start: int, boost: float, entry: float) -> Trie:
    """Build the tree of ``rows`` (phrases, tokens), padded with -1.

    The token at depth d >= 2 is worth ``boost * (1 + ln d)``, the first ``entry * boost``, times the largest weight
    among the phrases that pass; ``start`` in front of a row takes no part in the depth and is worth nothing.
    """
    if not len(rows):
        return _empty()
    order = np.lexsort(rows.T[::-1])
    rows, weights = rows[order], weights[order]
    count, depth = rows.shape
    valid = rows != PAD
    differs = np.ones(rows.shape, bool)
    differs[1:] = np.logical_or.accumulate(rows[1:] != rows[:-1], axis=1)
    new = differs & valid
    numbers = np.where(new, np.cumsum(new).reshape(new.shape), 0)
    numbers = np.maximum.accumulate(numbers, axis=0)  # node of each cell; meaningful where valid
    parents = np.concatenate([np.zeros((count, 1), numbers.dtype), numbers[:, :-1]], axis=1)[new]
    nodes = int(new.sum()) + 1
    heaviest = np.zeros(nodes, np.float32)
    np.maximum.at(heaviest, numbers[valid], np.broadcast_to(weights[:, None], rows.shape)[valid])
    ends = np.zeros(nodes, bool)
    ends[numbers[np.arange(count), valid.sum(axis=1) - 1]] = True
    levels = np.broadcast_to(np.arange(1, depth + 1), rows.shape) - (rows[:, :1] == start)
    level = levels[new]
    with np.errstate(divide="ignore"):
        unit = np.select([level <= 0, level == 1], [0.0, entry], 1.0 + np.log(np.maximum(level, 1)))
    values = (boost * unit * heaviest[1:]).astype(np.float32)
    return _arrange(parents, rows[new], values, ends, np.broadcast_to(np.arange(depth), rows.shape)[new])


def _arrange(
    parents: npt.NDArray[np.int64],
    tokens: Ints,
    values: Floats,
    ends: npt.NDArray[np.bool_],
    column: npt.NDArray[np.int64],
) -> Trie:
    """Sort edges by parent and token, and sum up what was given along every path; edge i leads to node i + 1."""
    nodes = len(ends)
    total, last = np.zeros(nodes, np.float32), np.zeros(nodes, np.float32)
    for depth in range(int(column.max()) + 1):
        here = np.flatnonzero(column == depth)
        above, below = parents[here], here + 1
        total[below] = total[above] + values[here]
        last[below] = np.where(ends[below], total[below], last[above])
    order = np.lexsort((tokens, parents))
    first = np.searchsorted(parents[order], np.arange(nodes + 1)).astype(np.int32)
    return Trie(
        first,
        tokens[order].astype(np.int32),
        (order + 1).astype(np.int32),
        values[order],
        total - last,
        np.where(ends, total, np.float32(0)),
    )


def _empty() -> Trie:
    no_tokens, no_values, root = np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(1, np.float32)
    return Trie(np.zeros(2, np.int32), no_tokens, no_tokens, no_values, root, root)
