"""What an encoder hears letter by letter, and reading it off, for models with a head for it.

The head is trained beside the decoder by connectionist temporal classification (Graves et al. 2006). It has no idea of
words, so a name that training never spoke is heard as well as any. Knows nothing of models, tokens or names.
"""

from __future__ import annotations

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
