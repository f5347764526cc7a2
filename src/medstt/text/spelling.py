"""One spelling where practice varies: German K and Z for C (Carcinom -> Karzinom), ö for oe; never a drug's name.

Knows nothing of context; the stems are data.
"""

from __future__ import annotations

import re
from dataclasses import replace

from medstt.text.item import Item
from medstt.text.pack import Pack
from medstt.vocab.lexicon import Lexicon


def read_spelling(items: list[Item], pack: Pack, lexicon: Lexicon) -> list[Item]:
    """Return the items with variant stems in the house's spelling; names of drugs and brands stay."""
    if pack.spelling is None:
        return items
    return [_spelled(item, pack.spelling, pack.stems, lexicon) if item.kind == "word" else item for item in items]


def _spelled(item: Item, pattern: re.Pattern[str], stems: dict[str, str], lexicon: Lexicon) -> Item:
    if item.rule != "verbatim" or not pattern.search(item.low):
        return item
    if any(term.kind in ("drug", "brand") for term in lexicon.find(item.text)):
        return item
    text = re.sub(
        pattern.pattern, lambda match: _cased(match.group(), stems[match.group().lower()]), item.text, flags=re.I
    )
    return replace(item, text=text, rule="spelling") if text != item.text else item


def _cased(found: str, written: str) -> str:
    """Give the new stem the case of the old one."""
    if found.isupper():
        return written.upper()
    return written.capitalize() if found[:1].isupper() else written
