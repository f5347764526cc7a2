"""Which names some words may have been, by the letters that were heard in their place.

Knows nothing of engines, probabilities or what is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from medstt.vocab import Lexicon
from medstt.vocab.bias import BIASED_KINDS

_ALIKE = 0.5  # of letters, 0-1; the letters themselves then decide
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
    def _keys(self) -> dict[str, list[str]]:
        return {language: list(names) for language, names in self._names.items()}

    def near(self, heard: str, language: str, most: int) -> list[tuple[str, float]]:
        """Return up to ``most`` names that are spelt like what was heard, with the share of letters in common."""
        keys = self._keys.get(language, [])
        found = process.extract(
            bare(heard), keys, scorer=Levenshtein.normalized_similarity, limit=most, score_cutoff=_ALIKE
        )
        best: dict[str, float] = {}
        for key, likeness, _ in found:
            name = self._names[language][key]
            best[name] = max(likeness, best.get(name, 0.0))
        return list(best.items())


def bare(text: str) -> str:
    """Return a text's letters alone, lower case."""
    return "".join(character for character in text.lower() if character.isalpha())


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
