"""What two lexicons do not share, term by term.

Knows nothing of terminals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from medstt.vocab.lexicon import Lexicon
from medstt.vocab.term import Term
from medstt.vocab.write import term_cells


@dataclass(frozen=True, slots=True)
class Change:
    """One term that was added, removed or changed; ``fields`` maps a column to its values before and after."""

    what: Literal["added", "removed", "changed"]
    term: Term
    fields: tuple[tuple[str, str, str], ...] = ()


def compare(before: Lexicon, after: Lexicon) -> Iterator[Change]:
    """Yield the changes from one lexicon to another, in order of language, kind and term; layers do not count."""
    old = {(term.language, term.kind, term.text): term for term in before}
    new = {(term.language, term.kind, term.text): term for term in after}
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            yield Change("added", new[key])
        elif key not in new:
            yield Change("removed", old[key])
        else:
            was, now = term_cells(old[key]), term_cells(new[key])
            fields = tuple((column, was[column], now[column]) for column in was if was[column] != now[column])
            if fields:
                yield Change("changed", new[key], fields)
