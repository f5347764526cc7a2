"""Why a report reads as it does: words -> rule -> text, one row for every piece.

Knows nothing of terminals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medstt.values import Document


@dataclass(frozen=True, slots=True)
class Explanation:
    """The words that were heard, the rule that applied, what was written; ``start`` is a character of the text."""

    words: str
    rule: str
    text: str
    origin: str
    start: int


def explain(document: Document, words: Sequence[str], *, verbatim: bool = False) -> list[Explanation]:
    """Return a row per span that a rule touched; with ``verbatim`` also those left as heard."""
    rows = []
    for span in document.spans:
        written = document.text[span.start : span.end]
        heard = " ".join(words[index].strip() for index in span.words if index < len(words))
        rule = (
            "capital"
            if span.rule == "verbatim" and heard.strip('.,;:?!()"') != written and written.isalpha()
            else span.rule
        )
        if verbatim or rule != "verbatim":
            rows.append(Explanation(heard, rule, written, span.origin, span.start))
    return rows
