"""What training refuses in a manifest before the first step, and what it leaves out with a word.

Knows nothing of how batches are drawn but their limits.
"""

from __future__ import annotations

import logging

from transformers import WhisperTokenizerFast

from medstt.errors import DataError
from medstt.train.cache import FeatureCache
from medstt.train.clip import MAX_FRAMES, MIN_FRAMES
from medstt.values import LANGUAGES

SPECIAL_TOKENS = 7  # at most: start, language, task, no-times or two times, end

log = logging.getLogger(__name__)


def check_rows(manifest: str, cache: FeatureCache, tokenizer: WhisperTokenizerFast, positions: int) -> None:
    """Raise DataError for a row of another language or with more text than the decoder's ``positions`` hold.

    Logs how many utterances training leaves out because they are too short or too long.
    """
    for row in cache.utterances:
        if row.lang not in LANGUAGES:
            raise DataError(
                f"{manifest}: {row.id}: language {row.lang!r} cannot be trained", f"Use one of {', '.join(LANGUAGES)}"
            )
    encoded = tokenizer([f" {row.text}" for row in cache.utterances], add_special_tokens=False).input_ids
    for row, tokens in zip(cache.utterances, encoded, strict=True):
        if len(tokens) + SPECIAL_TOKENS > positions:
            raise DataError(
                f"{manifest}: {row.id}: its text takes {len(tokens)} tokens; the decoder holds "
                f"{positions - SPECIAL_TOKENS}",
                "Split the utterance, or correct a text that is longer than its audio",
            )
    left_out = int(((cache.frames <= MIN_FRAMES) | (cache.frames > MAX_FRAMES)).sum())
    if left_out:
        log.warning("%s: %d utterances are left out, shorter than %.1f s or longer than %.0f s", manifest, left_out,
                    MIN_FRAMES / 100, MAX_FRAMES / 100)  # fmt: skip
