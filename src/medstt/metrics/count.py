"""Word and character error counts: frozen values that add, so that percentages are never averaged.

WER = (S + D + I) / N, MER = (S + D + I) / (H + S + D + I), WIL = 1 - (H / N)(H / P) with N reference and P hypothesis
words (Morris, Maier and Green 2004). Knows nothing of terms, safety or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from medstt.metrics.align import Alignment, align
from medstt.text.normalise import Level, normalise


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """Counts of one or many utterances; ``a + b`` and ``sum(counts)`` pool them.

    ``empty_references`` counts utterances without a reference token; their insertions are in ``insertions`` and again
    in ``invented``. Rates are None where nothing was there to be scored: unscored is not zero.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    utterances: int = 0
    perfect: int = 0
    empty_references: int = 0
    invented: int = 0

    def __add__(self, other: ErrorCounts | int) -> ErrorCounts:
        """Pool two counts; ``0`` is accepted so that ``sum()`` works."""
        if isinstance(other, int):
            return self
        return ErrorCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    __radd__ = __add__

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference_length(self) -> int:
        """Reference tokens (N)."""
        return self.hits + self.substitutions + self.deletions

    @property
    def hypothesis_length(self) -> int:
        """Hypothesis tokens (P)."""
        return self.hits + self.substitutions + self.insertions

    @property
    def rate(self) -> float | None:
        """Errors per reference token: WER of words, CER of characters; None without a reference token."""
        return self.errors / self.reference_length if self.reference_length else None

    @property
    def match_error_rate(self) -> float | None:
        """MER: errors per aligned position, at most 1; None if both sides are empty."""
        positions = self.hits + self.errors
        return self.errors / positions if positions else None

    @property
    def information_lost(self) -> float | None:
        """WIL: 1 - (H/N)(H/P), at most 1; None without a reference token."""
        if not self.reference_length:
            return None
        if not self.hypothesis_length:
            return 1.0
        return 1.0 - (self.hits / self.reference_length) * (self.hits / self.hypothesis_length)


def count_errors(alignment: Alignment) -> ErrorCounts:
    """Return the counts of one aligned utterance."""
    tally = {"equal": 0, "substitute": 0, "delete": 0, "insert": 0}
    for chunk in alignment.chunks:
        insertion = chunk.operation == "insert"
        tally[chunk.operation] += chunk.hyp_end - chunk.hyp_start if insertion else chunk.ref_end - chunk.ref_start
    empty = not alignment.reference
    errors = tally["substitute"] + tally["delete"] + tally["insert"]
    return ErrorCounts(
        hits=tally["equal"],
        substitutions=tally["substitute"],
        deletions=tally["delete"],
        insertions=tally["insert"],
        utterances=1,
        perfect=int(errors == 0),
        empty_references=int(empty),
        invented=tally["insert"] if empty else 0,
    )


def token_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """Return the counts of one utterance given as tokens."""
    return count_errors(align(reference, hypothesis))


def word_errors(reference: str, hypothesis: str, language: str = "en", level: Level = "content") -> ErrorCounts:
    """Return the word error counts of one utterance under a level of the scoring normaliser."""
    return token_errors(normalise(reference, language, level), normalise(hypothesis, language, level))


def char_errors(reference: str, hypothesis: str, language: str = "en", level: Level = "content") -> ErrorCounts:
    """Return the character error counts of one utterance; characters of the normalised text with single spaces."""
    return token_errors(
        list(" ".join(normalise(reference, language, level))), list(" ".join(normalise(hypothesis, language, level)))
    )
