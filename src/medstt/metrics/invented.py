"""Text that nobody said: words on silence or noise, and loops. Knows nothing of audio."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST_PHRASE = 8
_REPEATS = 3


def longest_repeat(words: Sequence[str]) -> int:
    """Return how often the most repeated phrase (1-8 words) stands directly after itself, 1 if none is repeated."""
    most = 1 if words else 0
    for length in range(1, min(_LONGEST_PHRASE, len(words) // 2) + 1):
        run = 0
        for at in range(length, len(words)):
            run = run + 1 if words[at] == words[at - length] else 0
            most = max(most, run // length + 1)
    return most


def has_loop(reference: Sequence[str], hypothesis: Sequence[str]) -> bool:
    """Tell whether a phrase is repeated at least three times in a row, and more often than it was said."""
    repeats = longest_repeat(hypothesis)
    return repeats >= _REPEATS and repeats > longest_repeat(reference)
