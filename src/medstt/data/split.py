"""Who is trained on and who is measured: splits without a speaker in common, the same ones every time.

Knows nothing of audio or checks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from medstt.errors import DataError
from medstt.values import Utterance

OVERSHOOT = 1.5  # a speaker who would make a part this many times as large as wanted is left to the next part


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """Shares of utterances for dev and test, and the seed that orders the speakers."""

    dev: float = 0.1
    test: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.dev < 0 or self.test < 0 or self.dev + self.test >= 1:
            raise DataError(f"shares dev {self.dev:g} and test {self.test:g} leave nothing to train on", "Lower them")


def split_utterances(utterances: Sequence[Utterance], options: SplitOptions) -> list[Utterance]:
    """Return the utterances, in order, with their split set by speaker.

    Utterances without a speaker count as one person's, so that nobody ends up on both sides. Speakers are taken in the
    order of a digest of seed and name: adding a speaker moves few others. Raises DataError for too few speakers.
    """
    counts: dict[str, int] = {}
    for utterance in utterances:
        counts[utterance.speaker] = counts.get(utterance.speaker, 0) + 1
    parts = [(name, share) for name, share in (("test", options.test), ("dev", options.dev)) if share > 0]
    if len(counts) <= len(parts):
        raise DataError(
            f"{len(counts)} speaker(s) cannot be divided into {len(parts) + 1} splits without sharing one",
            "Name the speakers when importing (--map speaker=COLUMN), or ask for fewer splits",
        )
    order = sorted(counts, key=lambda name: hashlib.sha256(f"{options.seed}/{name}".encode()).digest())
    chosen: dict[str, str] = {}
    for number, (part, share) in enumerate(parts, 1):
        wanted = share * len(utterances)
        left = [name for name in order if name not in chosen]
        most = len(left) - (len(parts) - number) - 1  # every later part, and train, needs a speaker of its own
        taken = 0
        for name in left:
            if taken >= wanted or sum(part == name for name in chosen.values()) >= most:
                break
            if taken + counts[name] <= wanted * OVERSHOOT:
                chosen[name] = part
                taken += counts[name]
        if not taken:  # every speaker is larger than the part: the smallest comes closest
            chosen[min(left, key=lambda name: counts[name])] = part
    return [replace(utterance, split=chosen.get(utterance.speaker, "train")) for utterance in utterances]
