"""The hold-out rule: which drugs are never heard or read in training, so that they measure names never met.

Knows nothing of files, audio or models; one function decides, everywhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Protocol

HELD_OUT_SHARE = 5  # one substance in five

BRAND = "brand"
DRUG = "drug"


class NamedDrug(Protocol):
    """What the rule reads of a lexicon term: ``en`` is the English generic of a drug or of a brand's substance."""

    @property
    def text(self) -> str:
        """The name as written."""

    @property
    def kind(self) -> str:
        """The term's kind; only ``drug`` and ``brand`` matter here."""

    @property
    def en(self) -> str:
        """The English generic name, empty where there is none."""

    @property
    def generic(self) -> str:
        """The generic a brand stands for, in the brand's language; empty for a generic."""

    @property
    def variants(self) -> tuple[str, ...]:
        """Other spellings and names."""


def is_held_out(generic_en: str) -> bool:
    """Tell whether a substance is held out, by the checksum of its lower-case English generic name.

    Substances without an English generic are asked for by their German name.
    """
    return zlib.crc32(generic_en.lower().encode()) % HELD_OUT_SHARE == 0


def held_out_names(drugs: Iterable[NamedDrug], twin_names: Iterable[str] = ()) -> frozenset[str]:
    """Collect every held-out name, lower case: generics, German names, brands and their variants.

    ``twin_names`` are the drug names of the look-alike lists; those that no term in ``drugs`` bears are held out too.
    """
    held: set[str] = set()
    known: set[str] = set()
    for drug in drugs:
        if drug.kind not in (DRUG, BRAND):
            continue
        names = {name.lower() for name in (drug.text, *drug.variants)}
        known |= names
        if is_held_out(drug.en or drug.generic or drug.text):
            held |= names
    return frozenset(held | ({name.lower() for name in twin_names} - known))
