"""What an encoder hears letter by letter: reading it off, and how likely a text is, for models with a head for it.

The head is trained beside the decoder by connectionist temporal classification (Graves et al. 2006). It has no idea of
words, so a name that training never spoke is heard as well as any. Knows nothing of models, tokens or names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

CHARACTERS = "\0 abcdefghijklmnopqrstuvwxyzäöüß'-"  # index 0 is the blank
HEAD = "ctc.safetensors"  # beside a model's weights: project.weight (characters, width), project.bias

Letters = npt.NDArray[np.float32]  # log-probabilities (positions, characters)

_LEAST = np.float32(-4.0)  # nats of a letter that was not heard at all
_BLANK = 0
_NUMBER = {character: number for number, character in enumerate(CHARACTERS) if number}


def letters_of(text: str) -> list[int]:
    """Return a text's characters by number; those outside the table are left out."""
    return [_NUMBER[character] for character in text.lower() if character in _NUMBER]


def doubt_letters(letters: Letters) -> Letters:
    """Return letters none of which is ruled out: heads are surer of them than they are right."""
    doubted: Letters = np.maximum(letters, _LEAST)
    return doubted


def read_letters(letters: Letters) -> str:
    """Return the likeliest character of every position, repeats and blanks dropped, single spaces."""
    best = letters.argmax(axis=1)
    kept = best[np.flatnonzero(np.diff(best, prepend=_BLANK))]
    return " ".join("".join(CHARACTERS[number] for number in kept if number != _BLANK).split())


def score_letters(letters: Letters, texts: Sequence[str]) -> list[float]:
    """Return the log-probability of the best alignment of each text with all positions; minus infinity for too long.

    The states of a text are its characters with blanks around each, all texts' rows advance together.
    """
    numbers = [letters_of(text) for text in texts]
    width = 2 * max(map(len, numbers), default=0) + 1
    states = np.zeros((len(texts), width), np.int64)
    for row, found in enumerate(numbers):
        states[row, 1 : 2 * len(found) : 2] = found
    skips = np.zeros(states.shape, np.float32)  # a blank may be left out between different characters
    skips[:, 2:] = np.where((states[:, 2:] != _BLANK) & (states[:, 2:] != states[:, :-2]), 0.0, -np.inf)
    best = np.full((len(texts), width + 2), -np.inf, np.float32)  # two columns in front that nothing reaches
    best[:, 2:4] = letters[0][states[:, :2]]
    for emitted in letters[1:]:
        reached = np.maximum(best[:, 2:], best[:, 1:-1])
        np.maximum(reached, best[:, :-2] + skips, out=reached)
        best[:, 2:] = reached + emitted.take(states)
    ends = np.array([2 * len(found) for found in numbers]) + 2
    rows = np.arange(len(texts))
    last = np.maximum(best[rows, ends], np.where(ends > 2, best[rows, ends - 1], -np.inf))
    return [float(value) for value in last]
