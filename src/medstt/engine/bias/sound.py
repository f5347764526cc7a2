"""Which names some words may have been, by the letters that were heard in their place.

Knows nothing of engines, probabilities or what is decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from medstt.engine.bias.phrase import Floats
from medstt.vocab import Lexicon
from medstt.vocab.bias import BIASED_KINDS

_ALIKE = 0.5  # of letters, 0-1; the letters themselves then decide
_FIRST = 256  # names whose letters agree best, compared before all others
_ROUNDED = np.float32(1e-5)  # of a likeness in single precision
_MOST = 255  # letters of what was heard; no name is half as long
_FARTHER = 2  # letters; of 677 names beyond, none came within the margin that is kept in mind
_WIDER = 4  # letters by which a piece may grow to whole words


class SoundIndex:
    """The names of a lexicon by their letters, without spaces; made when first asked."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    @cached_property
    def _names(self) -> dict[str, dict[str, str]]:
        """Return name by letters, by language."""
        names: dict[str, dict[str, str]] = {}
        for term in self._lexicon:
            if term.kind in BIASED_KINDS:
                for spoken in (term.text, *term.spoken):
                    names.setdefault(term.language, {}).setdefault(bare(spoken), term.text)
        return names

    @cached_property
    def _spellings(self) -> dict[str, _Spellings]:
        return {language: _Spellings(list(names)) for language, names in self._names.items()}

    def near(self, heard: str, language: str, most: int) -> list[tuple[str, float]]:
        """Return up to ``most`` names that are spelt like what was heard, with the share of letters in common."""
        spellings = self._spellings.get(language)
        best: dict[str, float] = {}
        for key, likeness in spellings.near(bare(heard), most) if spellings else ():
            name = self._names[language][key]
            best[name] = max(likeness, best.get(name, 0.0))
        return list(best.items())


class _Spellings:
    """Spellings with how often each has which letter: most of a long list cannot be near, and is not looked at."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = np.array(keys, object)
        lengths = [len(key) for key in keys]
        self._lengths = np.array(lengths, np.float32)
        joined = "".join(keys)
        letters = sorted(set(joined))
        codes = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
        which = np.searchsorted(np.array([ord(letter) for letter in letters], np.uint32), codes)
        cells = which * len(keys) + np.repeat(np.arange(len(keys)), lengths)
        counts = np.bincount(cells, minlength=len(letters) * len(keys)).reshape(len(letters), len(keys))
        self._counts = dict(zip(letters, np.minimum(counts, _MOST).astype(np.uint8), strict=True))

    def near(self, heard: str, most: int) -> list[tuple[str, float]]:
        """Return the nearest spellings, of equal ones the first, with their likeness."""
        bound = self._bound(heard)
        first = np.argpartition(bound, -_FIRST)[-_FIRST:] if len(bound) > _FIRST else np.arange(len(bound))
        least = self._extract(heard, first, most)
        floor = least[-1][1] if len(least) == most else _ALIKE
        return self._extract(heard, np.flatnonzero(bound >= floor), most)

    def _bound(self, heard: str) -> Floats:
        """Return the most that each spelling can be like what was heard: letters in common of those of the longer."""
        common = np.zeros(len(self._keys), np.uint8)
        for letter, count in Counter(heard[:_MOST]).items():
            if letter in self._counts:
                common += np.minimum(self._counts[letter], np.uint8(count))
        longer = np.maximum(self._lengths, np.float32(max(1, len(heard))))
        bound: Floats = np.divide(common, longer, dtype=np.float32) + _ROUNDED
        return bound

    def _extract(self, heard: str, places: npt.NDArray[np.intp], most: int) -> list[tuple[str, float]]:
        found = process.extract(
            heard, self._keys[places].tolist(), scorer=Levenshtein.normalized_similarity, limit=most,
            score_cutoff=_ALIKE,
        )  # fmt: skip
        return [(key, likeness) for key, likeness, _ in found]


def bare(text: str) -> str:
    """Return a text's letters alone, lower case."""
    return "".join(character for character in text.lower() if character.isalpha())


def names_in_reach(written: str, heard: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that are at most a few letters further from what was heard than what was written."""
    heard = bare(heard)
    most = Levenshtein.distance(bare(written), heard) + _FARTHER
    return tuple(name for name in names if Levenshtein.distance(bare(name), heard) <= most)


def piece_heard(words: Sequence[str], first: int, last: int, heard: str) -> str:
    """Return the part of ``heard`` that stands where ``words[first:last]`` stand when both texts are laid side by side.

    Where whole words of ``heard`` are only a few letters longer, they are taken whole.
    """
    text = " ".join(words).lower()
    start = len(" ".join(words[:first])) + (1 if first else 0)
    end = start + len(" ".join(words[first:last]))
    left, right = 0, len(heard)
    for block in Levenshtein.opcodes(text, heard):
        if block.src_start <= start < block.src_end:
            left = block.dest_start + (start - block.src_start if block.tag == "equal" else 0)
        if block.src_start < end <= block.src_end:
            right = block.dest_end - (block.src_end - end if block.tag == "equal" else 0)
    whole_left = heard.rfind(" ", 0, left) + 1
    whole_right = heard.find(" ", right)
    whole_right = len(heard) if whole_right < 0 else whole_right
    if (left - whole_left) + (whole_right - right) <= _WIDER:
        left, right = whole_left, whole_right
    return heard[left:right].strip()
