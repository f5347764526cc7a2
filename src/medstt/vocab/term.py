"""The nouns of the vocabulary: terms, layers, look-alike pairs, matches, mentions, bias phrases.

Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from medstt.values import Language

Kind = Literal["drug", "brand", "condition", "anatomy", "procedure", "lab", "unit", "abbreviation", "name"]
KINDS: tuple[Kind, ...] = (
    "drug",
    "brand",
    "condition",
    "anatomy",
    "procedure",
    "lab",
    "unit",
    "abbreviation",
    "name",
)
MEMORY = "memory"  # a source that nobody has checked: such rows never drive a flag

LayerName = Literal["builtin", "site", "department", "user"]
LAYERS: tuple[LayerName, ...] = ("builtin", "site", "department", "user")


class Term(NamedTuple):
    """One entry of the lexicon.

    ``spoken`` are other ways to say it, ``variants`` other ways to write it, ``en`` the English term of a German one,
    ``generic`` the substance of a brand, ``meaning`` an abbreviation's long form or a lab's usual unit,
    ``pronunciation`` an espeak-ng phoneme string in [[...]] or a respelling.
    """

    text: str
    kind: Kind
    language: Language
    spoken: tuple[str, ...] = ()
    code: str = ""
    klass: str = ""
    variants: tuple[str, ...] = ()
    source: str = ""
    note: str = ""
    pronunciation: str = ""
    en: str = ""
    generic: str = ""
    meaning: str = ""
    layer: str = "builtin"

    @property
    def checked(self) -> bool:
        """Tell whether the row rests on more than memory, so that it may drive a flag."""
        return self.source != MEMORY


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of vocabulary: a folder laid out like ``vocab/`` or a single table; later layers win."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Pair:
    """Two names that are mistaken for one another; ``reason`` says how they come close."""

    a: str
    b: str
    language: Language
    reason: str
    source: str
    layer: str = "builtin"


@dataclass(frozen=True, slots=True)
class Twin:
    """A term that could be mistaken for the one asked about."""

    term: Term
    reason: str
    source: str

    @property
    def checked(self) -> bool:
        """Tell whether the pair rests on more than memory, so that it may drive a flag."""
        return self.source != MEMORY


How = Literal["exact", "spelling", "sound", "fuzzy"]


@dataclass(frozen=True, slots=True)
class Match:
    """One search result: ``score`` 0-100, and by which way it was found."""

    term: Term
    score: float
    how: How


@dataclass(frozen=True, slots=True)
class Mention:
    """A term found in text.

    ``start`` and ``end`` are character offsets (or word indices where words were given), end exclusive; ``how`` says
    whether the form was exact, inflected or part of a compound; ``others`` are further terms of the same spelling.
    """

    start: int
    end: int
    term: Term
    text: str
    how: Literal["exact", "inflection", "compound"] = "exact"
    others: tuple[Term, ...] = ()


@dataclass(frozen=True, slots=True)
class BiasPhrase:
    """A phrase to favour in decoding; ``weight`` multiplies the decoder's boost."""

    text: str
    spoken: tuple[str, ...]
    weight: float
    layer: str
