"""A document after a correction: spans and flags move with the text they belong to; changed passages lose theirs.

Knows nothing of who corrected what.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from rapidfuzz.distance import Levenshtein

from medstt.values import Document


def remap(document: Document, text: str) -> Document:
    """Return the document with ``text``; a span or flag stays only where its characters are unchanged and together.

    One that became part of a longer word ("well" in "unwell") is gone as well: it says something else now.
    """
    kept = [step for step in Levenshtein.opcodes(document.text, text) if step.tag == "equal"]
    starts = [step.src_start for step in kept]

    def moved(start: int, end: int) -> tuple[int, int] | None:
        number = bisect_right(starts, start) - 1
        if number < 0 or end > kept[number].src_end:
            return None
        shift = kept[number].dest_start - kept[number].src_start
        grown = _sides(text, start + shift, end + shift) != _sides(document.text, start, end)
        return None if grown else (start + shift, end + shift)

    spans = [replace(one, start=at[0], end=at[1]) for one in document.spans if (at := moved(one.start, one.end))]
    flags = [replace(one, start=at[0], end=at[1]) for one in document.flags if (at := moved(one.start, one.end))]
    sections = [replace(one, start=at[0], end=at[1]) for one in document.sections if (at := moved(one.start, one.end))]
    return replace(document, text=text, spans=tuple(spans), flags=tuple(flags), sections=tuple(sections))


def _sides(text: str, start: int, end: int) -> tuple[bool, bool]:
    """Say whether a letter or digit stands right before and right after a passage."""
    return text[max(0, start - 1) : start].isalnum(), text[end : end + 1].isalnum()
