"""A document after a correction: spans and flags move with the text they belong to; changed passages lose theirs.

Knows nothing of who corrected what.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from rapidfuzz.distance import Levenshtein

from medstt.values import Document


def remap(document: Document, text: str) -> Document:
    """Return the document with ``text``; a span or flag stays only where its characters are unchanged and together."""
    kept = [step for step in Levenshtein.opcodes(document.text, text) if step.tag == "equal"]
    starts = [step.src_start for step in kept]

    def moved(start: int, end: int) -> tuple[int, int] | None:
        number = bisect_right(starts, start) - 1
        if number < 0 or end > kept[number].src_end:
            return None
        shift = kept[number].dest_start - kept[number].src_start
        return start + shift, end + shift

    spans = [replace(one, start=at[0], end=at[1]) for one in document.spans if (at := moved(one.start, one.end))]
    flags = [replace(one, start=at[0], end=at[1]) for one in document.flags if (at := moved(one.start, one.end))]
    sections = [replace(one, start=at[0], end=at[1]) for one in document.sections if (at := moved(one.start, one.end))]
    return replace(document, text=text, spans=tuple(spans), flags=tuple(flags), sections=tuple(sections))
