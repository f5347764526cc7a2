"""Spotting terms in running text: longest match first, with inflected forms and German compounds.

Owns the endings, linking letters and second parts of compounds. Knows nothing of recognition or flags.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from medstt.values import Language
from medstt.vocab.fold import fold, tokens
from medstt.vocab.term import KINDS, Kind, Mention, Term

SPOTTED_KINDS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in ("unit", "name"))
CASED_KINDS = ("abbreviation", "unit")  # "AS" is aortic stenosis, "as" is not

ENDINGS: dict[Language, tuple[str, ...]] = {
    "en": ("'s", "es", "s"),
    "de": ("ern", "en", "er", "es", "em", "n", "s", "e"),
}
# German adjectives and Latin nouns change their last letters; each pair is (ending in the text, ending of the term).
SWAPS: dict[Language, tuple[tuple[str, str], ...]] = {
    "en": (("ies", "y"), ("ses", "sis"), ("ae", "a"), ("i", "us"), ("a", "um")),
    "de": (("en", "e"), ("em", "er"), ("en", "er"), ("es", "er"), ("e", "er"), ("en", "um"), ("en", "a"), ("en", "us")),
}
LINKS = ("", "s", "es", "n", "en", "o")
MIN_STEM = 5
HEADS = frozenset(
    "therapie gabe dosis dosierung einnahme medikation spiegel allergie unvertraeglichkeit behandlung tablette "
    "tabletten infusion pumpe pflaster spray tropfen salbe praeparat intoxikation ueberdosierung entzug schmerz "
    "schmerzen erkrankung krankheit patient patienten patientin ambulanz klinik station operation eingriff resektion "
    "implantation plastik ersatz verletzung ruptur fraktur tumor karzinom metastase metastasen entzuendung infektion "
    "blutung stenose insuffizienz verschluss thrombose embolie spiegelung untersuchung diagnostik kontrolle befund "
    "punktion biopsie drainage katheter verdacht anamnese risiko rezidiv exazerbation schub attacke syndrom region "
    "bereich wand gewebe funktion stoerung laesion oedem wert werte erguss ergusses therapien gruppe nachweis "
    "prophylaxe abszess odem arterie vene nerv muskel gelenk knochen schleimhaut druck frequenz zeichen "
    "beschwerden test screening mangel ueberschuss zufuhr substitution exposition".split()
)
_TOKEN = re.compile(r"[^\W_]+(?:'s\b)?")
_GAP = re.compile(r"[ \t\u00a0]{1,2}|[-–/.'’+]{1,2}|(?<=\b\w)\. ")  # what may stand between two words of one term
_WHOLE_GAP = re.compile(rf"(?:{_GAP.pattern}|)\Z")


class _Form(NamedTuple):
    """How one written word relates to a key of the index."""

    key: str
    how: Literal["exact", "inflection", "compound"]


class Spotter:
    """Finds terms by their first word; made once per lexicon, holds no text."""

    def __init__(self, by_key: Mapping[str, tuple[Term, ...]]) -> None:
        self._starts: dict[str, list[tuple[tuple[str, ...], tuple[Term, ...]]]] = {}
        for key, terms in by_key.items():
            words = tokens(key)
            if words:
                self._starts.setdefault(words[0], []).append((words, terms))
        for entries in self._starts.values():
            entries.sort(key=lambda entry: -len(entry[0]))
        self._languages: frozenset[Language] = frozenset(term.language for terms in by_key.values() for term in terms)
        self._singles = {words[0] for entries in self._starts.values() for words, _ in entries if len(words) == 1}

    def spot(self, text: str, kinds: Collection[Kind]) -> list[Mention]:
        """Find the terms of the given kinds; mentions do not overlap and are in order of text."""
        found = [(match.start(), match.end(), match.group()) for match in _TOKEN.finditer(text.replace("’", "'"))]
        known: dict[str, tuple[_Form, ...]] = {}
        mentions: list[Mention] = []
        index = 0
        while index < len(found):
            mention, length = self._at(text, found, index, known, kinds)
            if mention is not None:
                mentions.append(mention)
            index += length
        return mentions

    def spot_words(self, words: Sequence[str], kinds: Collection[Kind]) -> list[Mention]:
        """Find terms in separate words; mentions count words instead of characters."""
        starts: list[int] = []
        position = 0
        for word in words:
            starts.append(position)
            position += len(word) + 1
        return [
            replace(
                mention,
                start=bisect_right(starts, mention.start) - 1,
                end=bisect_left(starts, mention.end),
            )
            for mention in self.spot(" ".join(words), kinds)
        ]

    def _at(
        self,
        text: str,
        found: list[tuple[int, int, str]],
        index: int,
        known: dict[str, tuple[_Form, ...]],
        kinds: Collection[Kind],
    ) -> tuple[Mention | None, int]:
        for form in self._forms(found[index][2], known):
            for words, terms in self._starts.get(form.key, ()):
                if index + len(words) > len(found):
                    continue
                how = self._continues(text, found, index, words, form.how, known)
                if how is None:
                    continue
                start, end = found[index][0], found[index + len(words) - 1][1]
                written = text[start:end]
                closed = text[end : end + 1] == "."
                fitting = [term for term in terms if term.kind in kinds and _case_fits(term, written, how)]
                if fitting:
                    if closed and fitting[0].text.endswith("."):  # the point belongs to "Z.n."
                        end, written = end + 1, written + "."
                    return Mention(start, end, fitting[0], written, how, tuple(fitting[1:])), len(words)
        return None, 1

    def _continues(
        self,
        text: str,
        found: list[tuple[int, int, str]],
        index: int,
        words: tuple[str, ...],
        how: Literal["exact", "inflection", "compound"],
        known: dict[str, tuple[_Form, ...]],
    ) -> Literal["exact", "inflection", "compound"] | None:
        if len(words) == 1:
            return how
        if how == "compound":
            return None
        for offset in range(1, len(words)):
            position = index + offset
            if not _WHOLE_GAP.match(text[found[position - 1][1] : found[position][0]]):
                return None
            written = fold(found[position][2])
            if written == words[offset]:
                continue
            if not any(form.key == words[offset] and form.how == "inflection" for form in self._bent(written)):
                return None
            how = "inflection"
        return how

    def _forms(self, written: str, known: dict[str, tuple[_Form, ...]]) -> tuple[_Form, ...]:
        forms = known.get(written)
        if forms is None:
            folded = fold(written)
            as_is = (_Form(folded, "exact"),) if folded in self._starts else ()
            bent = tuple(form for form in self._bent(folded) if form.key in self._starts)
            forms = as_is + bent or self._compound(folded)
            known[written] = forms
        return forms

    def _bent(self, folded: str) -> list[_Form]:
        forms = []
        for language in self._languages:
            for ending in ENDINGS[language]:
                if folded.endswith(ending) and len(folded) - len(ending) >= 4:
                    forms.append(_Form(folded[: -len(ending)], "inflection"))
            for ending, original in SWAPS[language]:
                if folded.endswith(ending) and len(folded) - len(ending) >= 4:
                    forms.append(_Form(folded[: -len(ending)] + original, "inflection"))
            if language == "de" and len(folded) >= 6:  # dictated "akute" for the term's "akuter", "akutes"
                forms.extend(_Form(folded + letter, "inflection") for letter in ("r", "s", "n"))
        return forms

    def _compound(self, folded: str) -> tuple[_Form, ...]:
        if "de" not in self._languages or len(folded) < 9:
            return ()
        for cut in range(len(folded) - 3, MIN_STEM - 1, -1):  # term in front: Metoprololtherapie
            head, rest = folded[:cut], folded[cut:]
            if head in self._singles and any(
                rest.startswith(link) and self._is_head(rest[len(link) :]) for link in LINKS
            ):
                return (_Form(head, "compound"),)
        for cut in range(4, len(folded) - MIN_STEM):  # term at the end: Sigmakarzinom
            rest = folded[cut:]
            for key in (rest, *(form.key for form in self._bent(rest))):
                if key in self._singles and self._is_front(folded[:cut]):
                    return (_Form(key, "compound"),)
        return ()

    def _is_head(self, word: str) -> bool:
        return word in HEADS or (len(word) >= MIN_STEM and word in self._singles)

    def _is_front(self, word: str) -> bool:
        return any(
            word.endswith(link) and word[: len(word) - len(link)] in self._singles | HEADS for link in LINKS if link
        ) or (word in self._singles or word in HEADS)


def _case_fits(term: Term, written: str, how: str) -> bool:
    if term.kind not in CASED_KINDS:
        return True
    return how == "exact" and _letters(written) in map(_letters, (term.text, *term.variants))


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())
