"""What is odd about lists of a user's own: words of the other language, rows that contradict one another.

Owns when a warning is due; nothing is refused for it. Knows nothing of recordings or of how terms are listened for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from medstt.values import Language
from medstt.vocab.bias import weight
from medstt.vocab.fold import fold
from medstt.vocab.layers import layer_files
from medstt.vocab.lexicon import Lexicon, load_lexicon
from medstt.vocab.table import REMOVE, is_pairs, read_rows, read_terms
from medstt.vocab.term import Layer, Term

_NAMES = ("drug", "brand", "name", "abbreviation", "unit")  # alike in both languages, so they tell neither
_GERMAN = frozenset("äöüÄÖÜß")
_LANGUAGE = {"en": "English", "de": "German"}
_FEW = 3  # words of the other language, from which on a share says something
_SHARE = 0.3  # of a list's terms that are no drugs
_SHOWN = 3  # examples in a warning

Row = tuple[str, Term]  # where it stands, and what it says


def read_own(layers: Iterable[Layer], language: Language | None) -> Iterator[Row]:
    """Yield the terms of a user's tables as they stand, nothing merged."""
    for layer in layers:
        for path in layer_files(layer):
            header, rows = read_rows(path)
            if is_pairs(header):
                continue
            for number, term in read_terms(path, header, rows, layer.name):
                if language in (None, term.language) and not term.text.startswith(REMOVE):
                    yield f"{path.name}:{number}", term


def check_language(texts: Sequence[str], language: Language | None) -> list[str]:
    """Return a warning where many terms are words of the other language: by its lexicon, or by German letters.

    Names of drugs and people tell no language. A list for both languages is not looked at.
    """
    if language is None or len(texts) < _FEW:
        return []
    own = load_lexicon(language)
    unknown = [text for text in dict.fromkeys(texts) if not own.find(text)]
    if len(unknown) < _FEW:
        return []
    other: Language = "de" if language == "en" else "en"
    lexicon = load_lexicon(other)
    foreign = [text for text in unknown if _is_word(lexicon, text) or (other == "de" and _has_umlaut(lexicon, text))]
    drugs = sum(_is_drug(own, text) or _is_drug(lexicon, text) for text in dict.fromkeys(texts))
    words = len(dict.fromkeys(texts)) - drugs
    if len(foreign) < _FEW or len(foreign) <= _SHARE * words:
        return []
    return [
        f"{len(foreign)} of {words} terms that are no drugs look {_LANGUAGE[other]} ({_some(foreign)}), "
        f"the language is {_LANGUAGE[language]}: is it the right list?"
    ]


def _is_word(lexicon: Lexicon, text: str) -> bool:
    found = lexicon.find(text)
    return bool(found) and all(term.kind not in _NAMES for term in found)


def _is_drug(lexicon: Lexicon, text: str) -> bool:
    return any(term.kind in ("drug", "brand") for term in lexicon.find(text))


def _has_umlaut(lexicon: Lexicon, text: str) -> bool:
    return not _GERMAN.isdisjoint(text) and not _is_drug(lexicon, text)


def check_spellings(texts: Iterable[str]) -> list[str]:
    """Return a warning where terms of a list differ in nothing but case or umlauts."""
    spellings: dict[str, set[str]] = {}
    for text in texts:
        spellings.setdefault(fold(text), set()).add(text)
    double = [sorted(found) for found in spellings.values() if len(found) > 1]
    if not double:
        return []
    return [f"{len(double)} terms are listed in several spellings: {' / '.join(double[0])}; all are listened for"]


def check_contradictions(rows: Iterable[Row]) -> list[str]:
    """Return warnings where rows of one term name different spoken forms, in one table or in several layers, or where
    rows of one layer give it different weights, as kinds do."""
    by_name: dict[tuple[str, str], list[Row]] = {}
    for where, term in rows:
        by_name.setdefault((term.language, fold(term.text)), []).append((where, term))
    spoken, weights = [], []
    for found in by_name.values():
        if len(found) == 1:
            continue
        places = f"{found[0][1].text} in {' and '.join(where for where, _ in found)}"
        if len({frozenset(map(fold, term.spoken)) for _, term in found if term.spoken}) > 1:
            spoken.append(places)
        layers = {term.layer for _, term in found}
        if len({(term.layer, weight(term)) for _, term in found}) > len(layers):
            weights.append(places)
    warnings = []
    if spoken:
        warnings.append(
            f"{len(spoken)} terms have different spoken forms ({_some(spoken)}): of rows of one kind the last one "
            "counts, those of different kinds are all listened for"
        )
    if weights:
        warnings.append(f"{len(weights)} terms have different weights ({_some(weights)}): the higher one counts")
    return warnings


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (", ..." if len(texts) > _SHOWN else "")
