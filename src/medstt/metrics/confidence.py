"""Are the confidences honest: calibration bins that add, and the errors found by reading the least certain words.

Knows nothing of where a confidence comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from medstt.metrics.align import Alignment, align
from medstt.text.normalise import plain_word, plain_words

BINS = 10
REVIEW_SHARES = (0.05, 0.10, 0.20)


_plain = lru_cache(maxsize=65_536)(plain_word)


@dataclass(frozen=True, slots=True)
class JudgedWord:
    """One hypothesis word: its confidence (0-1) and whether it was said."""

    confidence: float
    right: bool


def judge_words(
    reference: str, words: Sequence[tuple[str, float | None]], alignment: Alignment | None = None
) -> list[JudgedWord]:
    """Align words that carry a confidence with the reference (plain level) and tell which are right.

    ``alignment`` is one of plain words that somebody has made already; it is used if it is that of these words. A
    deleted word has no confidence: calibration can't see it, and the word error rate does.
    """
    spoken = [(_plain(text), confidence) for text, confidence in words]
    kept = [(text, confidence) for text, confidence in spoken if text and confidence is not None]
    if not kept:
        return []
    heard = tuple(text for text, _ in kept)
    if alignment is None or alignment.hypothesis != heard:
        alignment = align(plain_words(reference), heard)
    right = [False] * len(kept)
    for chunk in alignment.chunks:
        if chunk.operation == "equal":
            right[chunk.hyp_start : chunk.hyp_end] = [True] * (chunk.hyp_end - chunk.hyp_start)
    return [JudgedWord(float(confidence), hit) for (_, confidence), hit in zip(kept, right, strict=True)]


def bin_counts(words: Sequence[JudgedWord]) -> dict[str, int]:
    """Return additive counts per confidence bin: words, hits and the sum of confidences in millionths."""
    counts: dict[str, int] = {"confident_words": len(words)}
    for word in words:
        index = min(int(word.confidence * BINS), BINS - 1)
        for name, value in (("words", 1), ("hits", int(word.right)), ("micro", round(word.confidence * 1e6))):
            counts[f"bin{index}_{name}"] = counts.get(f"bin{index}_{name}", 0) + value
    return counts


def reliability(sums: Mapping[str, int]) -> list[tuple[float, float, int]]:
    """Return (mean confidence, share right, words) of each bin that has words."""
    curve = []
    for index in range(BINS):
        words = sums.get(f"bin{index}_words", 0)
        if words:
            curve.append((sums[f"bin{index}_micro"] / words / 1e6, sums.get(f"bin{index}_hits", 0) / words, words))
    return curve


def errors_found(words: Sequence[JudgedWord], shares: Sequence[float] = REVIEW_SHARES) -> dict[float, float | None]:
    """Return, for each share, which part of the wrong words lies among that share of least certain words.

    None if no word is wrong. Ties in confidence are shared out evenly, not in the order of the text.
    """
    wrong = np.array([not word.right for word in words], dtype=np.float64)
    if not wrong.sum():
        return dict.fromkeys(shares)
    confidence = np.array([word.confidence for word in words])
    levels, where = np.unique(confidence, return_inverse=True)
    sizes = np.bincount(where).astype(np.float64)
    errors = np.bincount(where, weights=wrong)
    reached = np.concatenate([[0.0], np.cumsum(sizes)])
    found = np.concatenate([[0.0], np.cumsum(errors)])
    assert len(levels) + 1 == len(reached)
    return {share: float(np.interp(share * len(words), reached, found) / wrong.sum()) for share in shares}
