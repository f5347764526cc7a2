"""Walking along a compiled list while a text is decoded: the bias that the search knows.

Knows nothing of how the list came to be.
"""

from __future__ import annotations

import hashlib
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medstt.engine.bias.phrase import Floats
from medstt.engine.bias.trie import ROOT, Trie
from medstt.engine.protocol import Bias, Bonus

_NONE = -1
_NO_TOKENS = np.zeros(0, np.int64)
_NO_VALUES = np.zeros(0, np.float32)
_STEPS = 8192  # kept of each kind, some 3 MB a list: the same names and beginnings come again and again


class State(NamedTuple):
    """Where in the tree a text is, and what it still owes for a whole phrase that was only the beginning of a word."""

    node: int
    owed: float = 0.0


class TrieBias:
    """A Bias over one prefix tree; immutable, shared by any number of searches and threads.

    ``starts_word`` (vocabulary,) tells the tokens with which a new word (or a mark) begins.
    """

    def __init__(self, trie: Trie, starts_word: npt.NDArray[np.bool_], start: int, digest: str) -> None:
        self._trie = trie
        self._starts_word = starts_word
        self._digest = digest
        self._from_root = self._root_children(len(starts_word))
        self._base = self._root_values(len(starts_word))
        found = self._find(ROOT, start)
        self._start = State(found if found != _NONE else ROOT)
        self._advance = lru_cache(_STEPS)(self._advanced)
        self._bonus = lru_cache(_STEPS)(self._worth)

    @property
    def digest(self) -> str:
        """SHA-256 of phrases, weights and tokenizer."""
        return self._digest

    @property
    def trie(self) -> Trie:
        """The tree it walks along."""
        return self._trie

    @property
    def size_bytes(self) -> int:
        """Memory of the compiled list."""
        base = 0 if self._base is None else self._base.nbytes
        return self._trie.size_bytes + self._from_root.nbytes + self._starts_word.nbytes + base

    @property
    def nodes(self) -> int:
        """Number of nodes of the tree."""
        return self._trie.nodes

    def start(self) -> State:
        """Return the state before the first token: names may begin without a space."""
        return self._start

    def advance(self, state: State, token: int) -> State:
        """Return the state after one more token."""
        return self._advance(state, token)

    def bonus(self, state: State) -> Bonus | None:
        """Return what continues the phrase, what begins one, and what everything else gives back."""
        return self._bonus(state)

    def _advanced(self, state: State, token: int) -> State:
        node = state.node
        child = self._find(node, token)
        if child != _NONE:
            return State(child)
        whole = float(self._trie.whole[node])
        owed = whole if whole and not self._starts_word[token] else 0.0
        again = int(self._from_root[token])
        if again != _NONE:
            return State(again, owed)
        return self._root if not owed else State(ROOT, owed)

    def _worth(self, state: State) -> Bonus | None:
        node, owed = state
        if node == ROOT:
            if not owed:
                return self._plain
            return Bonus(_NO_TOKENS, _NO_VALUES, -owed, self._base)
        trie = self._trie
        first, last = trie.first[node], trie.first[node + 1]
        rest = float(trie.open[node]) + owed
        if first == last and not rest:
            return self._plain
        values = trie.values[first:last] - np.float32(owed) if owed else trie.values[first:last]
        return Bonus(trie.tokens[first:last], values, -rest, self._base)

    @cached_property
    def _root(self) -> State:
        return State(ROOT)

    @cached_property
    def _plain(self) -> Bonus | None:
        return None if self._base is None else Bonus(_NO_TOKENS, _NO_VALUES, 0.0, self._base)

    def _find(self, node: int, token: int) -> int:
        first, last = self._trie.first[node], self._trie.first[node + 1]
        place = first + self._trie.tokens[first:last].searchsorted(token)
        if place < last and self._trie.tokens[place] == token:
            return int(self._trie.children[place])
        return _NONE

    def _root_children(self, vocabulary: int) -> npt.NDArray[np.int32]:
        children = np.full(vocabulary, _NONE, np.int32)
        tokens, nodes, _ = self._root_edges(vocabulary)
        children[tokens] = nodes
        return children

    def _root_values(self, vocabulary: int) -> Floats | None:
        tokens, _, values = self._root_edges(vocabulary)
        if not values.any():
            return None
        base = np.zeros(vocabulary, np.float32)
        base[tokens] = values
        return base

    def _root_edges(self, vocabulary: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Floats]:
        """Return the root's edges but the one that marks the beginning of a text."""
        trie = self._trie
        some = slice(0, int(trie.first[1]))
        real = trie.tokens[some] < vocabulary
        return trie.tokens[some][real], trie.children[some][real], trie.values[some][real]


class BothBias:
    """Two lists at once, such as a large compiled one and a request's few words: what they give adds up."""

    def __init__(self, first: Bias, second: Bias) -> None:
        self._both = (first, second)
        self._digest = hashlib.sha256(f"{first.digest} {second.digest}".encode()).hexdigest()

    @property
    def digest(self) -> str:
        """SHA-256 of both digests."""
        return self._digest

    def start(self) -> tuple[Any, Any]:
        """Return the state before the first token."""
        first, second = self._both
        return first.start(), second.start()

    def advance(self, state: tuple[Any, Any], token: int) -> tuple[Any, Any]:
        """Return the state after one more token."""
        first, second = self._both
        return first.advance(state[0], token), second.advance(state[1], token)

    def bonus(self, state: tuple[Any, Any]) -> Bonus | None:
        """Return the sum of what both give."""
        one, other = (bias.bonus(part) for bias, part in zip(self._both, state, strict=True))
        if one is None or other is None:
            return one or other
        tokens = np.union1d(one.tokens, other.tokens)
        base = one.base if other.base is None else other.base if one.base is None else one.base + other.base
        return Bonus(tokens, _given(one, tokens) + _given(other, tokens), one.rest + other.rest, base)


def _given(bonus: Bonus, tokens: npt.NDArray[np.integer[Any]]) -> Floats:
    """Return what a bonus gives to these tokens, its own among them."""
    values = np.full(len(tokens), bonus.rest, np.float32)
    if bonus.base is not None:
        values += bonus.base[tokens]
    values[np.searchsorted(tokens, bonus.tokens)] = bonus.values
    return values
