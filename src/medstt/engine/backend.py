"""What a search needs from a computing backend: encode once, then step; nothing about words, languages or files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from medstt.engine.checkpoint import Checkpoint
from medstt.engine.letter import Letters
from medstt.feature import Features

Array = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.int64]
Precision = Literal["int8", "float32"]  # of the weights; int8 also quantises activations as they pass

# What a backend hands out between calls and nobody else looks into: its arrays in its own form.
Memory = Any
Cache = Any


class Backend(Protocol):
    """A loaded model on one thread of its own; not thread-safe."""

    @property
    def checkpoint(self) -> Checkpoint:
        """The model folder behind it."""
        ...

    def replicate(self) -> Backend:
        """Return a backend over the same weights that another thread may use at the same time."""
        ...

    def encode(self, features: Sequence[Features]) -> Memory:
        """Encode clips of any lengths, features (n_mels, frames) each, into one batch of items."""
        ...

    def letters(self, memory: Memory) -> Sequence[Letters]:
        """Return what each clip sounds like by letters; nothing for a model without a head for them."""
        ...

    def select(self, memory: Memory, items: Sequence[int]) -> Memory:
        """Keep these items, in this order."""
        ...

    def begin(self, memory: Memory, beams: int) -> Cache:
        """Return an empty cache of ``items * beams`` rows; an item's beams lie together."""
        ...

    def step(
        self, memory: Memory, cache: Cache, tokens: Tokens, take: Sequence[int], suppress: Array
    ) -> tuple[Array, Cache]:
        """Feed ``tokens`` (rows, n); return log-probabilities (rows, len(take), vocabulary) and the grown cache.

        ``suppress`` (vocabulary,) is added to the logits: 0, or minus infinity for what must not be said.
        """
        ...

    def reorder(self, cache: Cache, rows: npt.NDArray[np.intp]) -> Cache:
        """Return the cache with these rows, in this order."""
        ...

    def attend(self, memory: Memory, tokens: Tokens) -> Array:
        """Return the alignment heads' attention for whole sequences (items, n): (items, heads, n, positions)."""
        ...
