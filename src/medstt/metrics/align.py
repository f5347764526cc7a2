"""The alignment of a hypothesis with its reference, token by token (jiwer's Levenshtein alignment in our types).

Knows nothing of normalisation or of what the tokens mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer

Operation = Literal["equal", "substitute", "delete", "insert"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One run of one operation: tokens ``ref_start:ref_end`` of the reference against ``hyp_start:hyp_end``."""

    operation: Operation
    ref_start: int
    ref_end: int
    hyp_start: int
    hyp_end: int


@dataclass(frozen=True, slots=True)
class Region:
    """A maximal stretch without an equal token: what was said (reference span) and what came out (hypothesis span)."""

    ref_start: int
    ref_end: int
    hyp_start: int
    hyp_end: int


@dataclass(frozen=True, slots=True)
class Alignment:
    """A reference and a hypothesis as tokens, and the chunks that turn one into the other."""

    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]
    chunks: tuple[Chunk, ...]

    def regions(self) -> Iterator[Region]:
        """Yield the maximal stretches that are not equal, in order."""
        opened: Chunk | None = None
        last: Chunk | None = None
        for chunk in self.chunks:
            if chunk.operation == "equal":
                if opened and last:
                    yield Region(opened.ref_start, last.ref_end, opened.hyp_start, last.hyp_end)
                opened = None
            else:
                opened, last = opened or chunk, chunk
        if opened and last:
            yield Region(opened.ref_start, last.ref_end, opened.hyp_start, last.hyp_end)

    def partners(self) -> list[int | None]:
        """Return, for each reference token, the index of the hypothesis token in its place (None if deleted)."""
        partners: list[int | None] = [None] * len(self.reference)
        for chunk in self.chunks:
            if chunk.operation in ("equal", "substitute"):
                for offset in range(chunk.ref_end - chunk.ref_start):
                    partners[chunk.ref_start + offset] = chunk.hyp_start + offset
        return partners

    def hits(self) -> list[bool]:
        """Return, for each reference token, whether it came out equal."""
        hits = [False] * len(self.reference)
        for chunk in self.chunks:
            if chunk.operation == "equal":
                hits[chunk.ref_start : chunk.ref_end] = [True] * (chunk.ref_end - chunk.ref_start)
        return hits


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> Alignment:
    """Align two token sequences at the least number of substitutions, deletions and insertions."""
    return align_all([reference], [hypothesis])[0]


def align_all(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> list[Alignment]:
    """Align many pairs at once; both sequences have the same length."""
    rows = [list(tokens) for tokens in references]
    columns = [list(tokens) for tokens in hypotheses]
    if not rows:
        return []
    output = jiwer.process_words(rows, columns, reference_transform=_as_is, hypothesis_transform=_as_is)
    return [
        Alignment(
            tuple(row),
            tuple(column),
            tuple(Chunk(c.type, c.ref_start_idx, c.ref_end_idx, c.hyp_start_idx, c.hyp_end_idx) for c in chunks),
        )
        for row, column, chunks in zip(rows, columns, output.alignments, strict=True)
    ]


def _as_is(tokens: list[list[str]]) -> list[list[str]]:
    return tokens
