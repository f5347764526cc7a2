"""The best paths of beginnings of texts through the letters of one clip, in a window that moves on with them.

Scores are nats against a path of blanks alone. Knows nothing of tokens, decoders or searching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medstt.engine.backend import Array
from medstt.engine.letter import Letters

BLANK, SPACE = 0, 1
HEARD_LETTERS = 10  # that are told of what comes
NO_LETTER = -1  # behind the last one of a spelling
_ENDED, _PAUSED = 0, 1
_FAR = np.float32(-1e9)
_CLOSE = np.float32(15.0)  # nats below a beginning's best path within which others are followed
_SKIPPED = 8  # letters that were heard and are not in the text, for which a window leaves room

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Paths:
    """The best paths of some beginnings: ``scores`` (beginnings, 2, positions of the window); it begins at ``first``.

    Scores are the best after so many positions, the last of them the last letter (0) or a blank (1); ``last``
    (beginnings,) is that letter.
    """

    first: int
    scores: Array
    last: Ints

    @property
    def stop(self) -> int:
        """The position after the window's last."""
        return self.first + int(self.scores.shape[2])

    def take(self, rows: Ints) -> Paths:
        """Return these rows."""
        return Paths(self.first, self.scores[rows], self.last[rows])

    def join(self, other: Paths) -> Paths:
        """Return the rows of both; their window is the same."""
        return Paths(self.first, np.concatenate([self.scores, other.scores]), np.concatenate([self.last, other.last]))


@dataclass(frozen=True, slots=True)
class Spelt:
    """One beginning with a spelling heard after it: which one it was, what it comes to, and its paths' scores."""

    row: int
    score: float
    paths: Array


class LetterPaths:
    """The letters of one clip, and how beginnings of texts go on in them."""

    def __init__(self, letters: Letters) -> None:
        count = letters.shape[1]
        beside = letters - letters[:, BLANK : BLANK + 1]
        self._sums = np.zeros((count, len(letters) + 1), np.float32)
        np.cumsum(beside.T, axis=1, out=self._sums[:, 1:])
        self._rest = np.zeros(len(letters) + 1, np.float32)  # what the best path loses from each position on, or gains
        self._rest[1:] = -np.cumsum(beside.max(axis=1))
        likeliest = letters.argmax(axis=1)
        changes = np.flatnonzero(np.diff(likeliest, prepend=-1))
        spoken = changes[likeliest[changes] > SPACE]
        self._heard, self._at = likeliest[spoken], spoken

    def start(self) -> Paths:
        """Return the paths of the empty beginning, blanks alone, in a window as wide as the clip."""
        scores = np.zeros((1, 2, len(self._rest)), np.float32)
        scores[:, _ENDED] = _FAR
        return Paths(0, scores, np.zeros(1, np.int64))

    def add(self, paths: Paths, letters: Ints) -> Paths:
        """Return the paths after one more letter each."""
        came = np.maximum(paths.scores[:, _ENDED], paths.scores[:, _PAUSED])
        return Paths(paths.first, self._emit(came, paths, letters), letters)

    def _emit(self, came: Array, paths: Paths, letters: Ints) -> Array:
        """Return the scores after a letter; ``came``, the best of both kinds of paths, is written over."""
        again = paths.last == letters
        if again.any():  # a letter is only said twice with a blank between
            came[again] = paths.scores[again, _PAUSED]
        sums = self._sums[:, paths.first : paths.stop][letters]
        came -= sums
        scores = np.empty(paths.scores.shape, np.float32)
        scores[:, :, 0] = _FAR
        ended = scores[:, _ENDED]
        np.maximum.accumulate(came[:, :-1], axis=1, out=ended[:, 1:])
        ended[:, 1:] += sums[:, 1:]
        np.maximum.accumulate(ended[:, :-1], axis=1, out=scores[:, _PAUSED, 1:])
        return scores

    def add_space(self, paths: Paths, penalty: float) -> Paths:
        """Return the paths after a space, heard or not."""
        heard = self.add(paths, np.full(len(paths.last), SPACE))
        return Paths(paths.first, np.maximum(heard.scores, paths.scores + np.float32(penalty)), paths.last)

    def spell(self, paths: Paths, spellings: Ints, given: Array, floor: float) -> list[Spelt]:
        """Return the beginnings that come to more than ``floor`` with their spelling heard after them.

        ``spellings`` (beginnings, longest) end with NO_LETTER; ``given`` is added to what the letters lose. Letters
        only ever lose, so a beginning is dropped at the first letter that brings it down to the floor.
        """
        done: list[Spelt] = []
        rows = np.arange(len(given))
        rest = self._rest[paths.first : paths.stop]
        reached = np.maximum(paths.scores[:, _ENDED], paths.scores[:, _PAUSED])
        for place in range(spellings.shape[1]):
            letters = spellings[:, place]
            paths = Paths(paths.first, self._emit(reached, paths, letters), letters)
            reached = np.maximum(paths.scores[:, _ENDED], paths.scores[:, _PAUSED])
            totals = given + (reached + rest).max(axis=1)
            going = totals > floor
            if place + 1 < spellings.shape[1]:
                over = spellings[:, place + 1] == NO_LETTER
                ended = (going & over).nonzero()[0]
                going &= ~over
            else:
                ended, going = going.nonzero()[0], np.zeros(len(going), bool)
            for row in ended.tolist():
                done.append(Spelt(int(rows[row]), float(totals[row]), paths.scores[row]))
            left = going.nonzero()[0]
            if not len(left):
                break
            if len(left) < len(rows):
                rows, given, spellings, reached = rows[left], given[left], spellings[left], reached[left]
                paths = paths.take(left)
        return done

    def loss(self, paths: Paths) -> Array:
        """Return what the best path of each beginning loses against the best path of all (0 or less)."""
        best: Array = self._reached(paths).max(axis=1)
        return best

    def end_loss(self, paths: Paths) -> Array:
        """Return the same for beginnings after which nothing more is said: only blanks follow the window."""
        best: Array = paths.scores[:, :, -1].max(axis=1) + self._rest[-1]
        return best

    def coming(self, paths: Paths) -> list[Ints]:
        """Return for each beginning the letters that are heard after it, without spaces."""
        firsts = np.searchsorted(self._at, paths.first + self._reached(paths).argmax(axis=1))
        return [self._heard[first : first + HEARD_LETTERS] for first in firsts]

    def move(self, paths: Paths) -> Paths:
        """Return the paths in the window in which a token may follow them.

        It leaves out positions that no path comes near, and those before which many heard letters would be skipped.
        """
        reached = self._reached(paths)
        near = (reached >= reached.max(axis=1, keepdims=True) - _CLOSE).any(axis=0).nonzero()[0]
        first, last = paths.first + int(near[0]), paths.first + int(near[-1])
        beyond = int(np.searchsorted(self._at, last)) + HEARD_LETTERS + _SKIPPED
        stop = int(self._at[beyond]) + 1 if beyond < len(self._at) else len(self._rest)
        kept = paths.scores[:, :, first - paths.first : stop - paths.first]
        if stop > paths.stop:  # what no path of this window has come to
            kept = np.concatenate([kept, np.full((len(kept), 2, stop - paths.stop), _FAR)], axis=2)
        return Paths(first, kept, paths.last)

    def _reached(self, paths: Paths) -> Array:
        """Return what each beginning comes to at best, by the position where it is left."""
        best: Array = np.maximum(paths.scores[:, _ENDED], paths.scores[:, _PAUSED])
        best += self._rest[paths.first : paths.stop]
        return best


def stack(found: Sequence[Spelt], first: int, last: Ints) -> Paths:
    """Return the paths of what was spelt, whose last letters these are."""
    return Paths(first, np.stack([one.paths for one in found]), last)
