"""Finding terms by a name that may be misspelt or misheard: exact, spelling family, sound, edit distance.

Owns the order of these ways and their scores. Knows nothing of text longer than a term.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from medstt.values import Language
from medstt.vocab.fold import fold, spelling_key
from medstt.vocab.phonetic import sound
from medstt.vocab.term import How, Match, Term

SPELLING_SCORE = 98.0
SOUND_FLOOR = 45.0  # an equal sound code counts only if the letters are this close as well
FUZZY_FLOOR = 70.0


class SearchIndex:
    """Indexes over all names of all terms; built when first used."""

    def __init__(self, by_key: Mapping[str, tuple[Term, ...]]) -> None:
        self._by_key = by_key

    @cached_property
    def _keys(self) -> list[str]:
        return list(self._by_key)

    @cached_property
    def _by_spelling(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for key in self._by_key:
            index.setdefault(spelling_key(key), []).append(key)
        return index

    @cached_property
    def _by_sound(self) -> dict[tuple[Language, str], list[str]]:
        index: dict[tuple[Language, str], list[str]] = {}
        for key, terms in self._by_key.items():
            for language in {term.language for term in terms}:
                if code := sound(key, language):
                    index.setdefault((language, code), []).append(key)
        return index

    def find(self, text: str, limit: int, fuzzy: bool, phonetic: bool) -> list[Match]:
        """Return the best matches, best first, each term once."""
        key = fold(text)
        if not key or limit < 1:
            return []
        best: dict[Term, Match] = {}
        for name, score, how in self._names(text, key, limit, fuzzy, phonetic):
            for term in self._by_key[name]:
                if term not in best or best[term].score < score:
                    best[term] = Match(term, round(score, 1), how)
        return sorted(best.values(), key=lambda match: (-match.score, match.term.text, match.term.language))[:limit]

    def _names(self, text: str, key: str, limit: int, fuzzy: bool, phonetic: bool) -> Iterator[tuple[str, float, How]]:
        if key in self._by_key:
            yield key, 100.0, "exact"
        for name in self._by_spelling.get(spelling_key(text), ()):
            yield name, SPELLING_SCORE, "spelling"
        if phonetic:
            for language in ("en", "de"):
                for name in self._by_sound.get((language, sound(text, language)), ()):
                    if (score := _closeness(key, name)) >= SOUND_FLOOR:
                        yield name, score + (100.0 - score) / 2, "sound"
        if fuzzy:
            found = process.extract(
                key,
                self._keys,
                scorer=DamerauLevenshtein.normalized_similarity,
                limit=limit * 2,
                score_cutoff=FUZZY_FLOOR / 100,
            )
            for name, score, _ in found:
                yield name, score * 100, "fuzzy"


def _closeness(left: str, right: str) -> float:
    return float(DamerauLevenshtein.normalized_similarity(left, right)) * 100
