"""Signs that a decoder has stopped listening: text in circles, more tokens than anybody can say, words on silence.

Thresholds for compression, log-probability and no speech are openai-whisper's. Knows nothing of decoding itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

TOKENS_PER_SECOND = 20.0  # three times a fast speaker's, even with a vocabulary of 4,000 pieces
TOKENS_ALWAYS = 10
_MOST_COMPRESSED = 2.4
_COMPRESS_FROM = 80  # characters; shorter texts compress by accident
_NO_SPEECH = 0.6
_UNSURE = -1.0
_LONGEST_PERIOD = 12
_FEWEST_TOKENS = 16  # "null null null null" is a phone number, four times the same four tokens is a loop
_FEWEST_TURNS = 4


def token_limit(duration_ms: int, most: int) -> int:
    """Return how many tokens a clip may become at most."""
    return min(most, TOKENS_ALWAYS + int(duration_ms * TOKENS_PER_SECOND / 1000))


def is_loop(tokens: Sequence[int]) -> bool:
    """Return whether a text ends in circles: at least four turns of one pattern, over at least 16 tokens."""
    return loop_start(tokens) is not None


def loop_start(tokens: Sequence[int]) -> int | None:
    """Return where the second turn of the circle at the end begins, None without one."""
    for period in range(1, _LONGEST_PERIOD + 1):
        same = 0
        while same + period < len(tokens) and tokens[-1 - same] == tokens[-1 - same - period]:
            same += 1
        if same + period >= max(_FEWEST_TOKENS, _FEWEST_TURNS * period):
            return len(tokens) - same
    return None


def is_repetitive(text: str) -> bool:
    """Return whether a text compresses as only repeated text does."""
    data = text.encode()
    return len(data) >= _COMPRESS_FROM and len(data) / len(zlib.compress(data)) > _MOST_COMPRESSED


def is_silence(no_speech: float, logprob: float) -> bool:
    """Return whether the model itself thinks nothing was said and is unsure of what it wrote."""
    return no_speech > _NO_SPEECH and logprob < _UNSURE
