"""How well readings of one place fit the letters of a clip, between what stands before it and after it.

Texts before and after are laid along the letters once for all places of a clip, readings then meet both in the middle.
Knows nothing of decoders, names or what is decided.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medstt.engine.backend import Array
from medstt.engine.letter import Letters, letters_of
from medstt.engine.path import BLANK, LetterPaths, Paths

_ENDED, _PAUSED = 0, 1
_IMPOSSIBLE = -1e8  # nats; sums of what no path comes to are below


class ReadingScores:
    """The letters of one clip, and what was laid along them so far from either end."""

    def __init__(self, letters: Letters) -> None:
        self._blanks = float(letters[:, BLANK].sum())
        self._forwards = _Laid(letters)
        self._backwards = _Laid(letters[::-1])

    def score(self, before: str, readings: Sequence[str], after: str) -> list[float]:
        """Return the log-probability of the best alignment of each ``before + reading + after`` with all positions.

        Minus infinity for a text with more letters than there are positions.
        """
        left = self._forwards.spell(self._forwards.lay(before), readings)
        right = self._backwards.lay(after[::-1])
        coming = right.scores[0, :, ::-1]
        best = np.maximum(coming[_ENDED], coming[_PAUSED])
        totals = (np.maximum(left.scores[:, _ENDED], left.scores[:, _PAUSED]) + best).max(axis=1)
        again = (left.last == right.last[0]) & (left.last != BLANK)
        if again.any():  # a letter is only said twice with a blank between
            ended, paused = left.scores[again, _ENDED], left.scores[again, _PAUSED]
            totals[again] = np.maximum(paused + best, ended + coming[_PAUSED]).max(axis=1)
        return [float(total) + self._blanks if total > _IMPOSSIBLE else -np.inf for total in totals]


class _Laid:
    """Beginnings of texts laid along letters from one end; each is kept up to every word's end."""

    def __init__(self, letters: Letters) -> None:
        self._heard = LetterPaths(letters)
        self._known = {"": self._heard.start()}

    def lay(self, text: str) -> Paths:
        """Return the paths of a text, one row."""
        known = max((start for start in self._known if text.startswith(start)), key=len)
        paths = self._known[known]
        for place in range(len(known), len(text)):
            for number in letters_of(text[place]):
                paths = self._heard.add(paths, np.array([number]))
            if text[place] == " ":
                self._known[text[: place + 1]] = paths
        self._known[text] = paths
        return paths

    def spell(self, start: Paths, texts: Sequence[str]) -> Paths:
        """Return the paths of one beginning with each text after it, a row each."""
        numbers = [letters_of(text) for text in texts]
        scores: Array = np.repeat(start.scores, len(texts), axis=0)
        paths = Paths(start.first, scores, np.repeat(start.last, len(texts)))
        for place in range(max(map(len, numbers), default=0)):
            going = np.array([row for row, spelt in enumerate(numbers) if len(spelt) > place])
            grown = self._heard.add(paths.take(going), np.array([numbers[row][place] for row in going]))
            paths.scores[going], paths.last[going] = grown.scores, grown.last
        return paths
