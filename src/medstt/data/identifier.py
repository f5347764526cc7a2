"""Signs of a person in a text: names after a title, dates of birth, record numbers, addresses of the net and phone.

A net with holes, not a de-identification: it flags what a reader should look at. Works on dictated words as well as on
written text. Knows nothing of audio or manifests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from medstt.values import Language

Kind = Literal["name", "birth date", "record number", "contact"]

_DIGIT = {
    "en": "zero oh one two three four five six seven eight nine".split(),
    "de": "null eins zwei zwo drei vier fünf sechs sieben acht neun".split(),
}
_MONTHS = {
    "en": "january february march april may june july august september october november december".split(),
    "de": "januar februar märz april mai juni juli august september oktober november dezember".split(),
}
# How a date begins, after "born on" or "geboren am".
_DATE_STARTS = {
    "en": "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    r"\w+teenth twent\w+ thirt\w+ nineteen".split(),
    "de": "ersten zweiten dritten vierten fünften sechsten siebten achten neunten zehnten elften zwölften "
    r"\w+zehnten \w+zigsten \w+ßigsten neunzehn\w* zweitausend\w*".split(),
}
_BIRTH = {
    "en": r"\b(?:date of birth|d\.? ?o\.? ?b\.?|born)(?: is| was| on| in|:| colon| the)*\s+(?=\d|(?:{starts})\b)",
    "de": r"\b(?:geburtsdatum|geb\.|geboren(?:e[rn]?)?)(?: ist| war| am| im|:| doppelpunkt)*"
    r"\s+(?=\d|(?:{starts})\b)",
}
_RECORD_WORDS = {
    "en": (
        "medical record number",
        "record number",
        "patient number",
        "case number",
        "m ?r ?n",
        "social security number",
        "insurance number",
        "account number",
    ),
    "de": (
        "fallnummer",
        "patientennummer",
        "aufnahmenummer",
        "krankenversichertennummer",
        "versichertennummer",
        "versicherungsnummer",
        "aktenzeichen",
        "aktennummer",
    ),
}
_TITLES = {
    "en": r"(?:mr|mrs|ms|miss|mister|missus|dr|doctor|prof|professor)\.?",
    "de": r"(?:herrn?|frau|dr|doktor|prof|professor|familie)\.?",
}
# Words that follow a title without being a name: "Frau Kollegin", "the doctor said".
_NOT_NAMES = {
    "en": frozenset(
        "said says and or will has had is was on in at to for who of the a period comma colon please does did may "
        "about".split()
    ),
    "de": frozenset(
        "kollegin kollege kollegen und oder hat hatte ist war wird im in am an zu der die das des punkt komma doktor "
        "dr dr. professor med med. doppelpunkt bitte".split()
    ),
}
_FIRST_NAMES = {
    "en": "james mary robert patricia john jennifer michael linda david elizabeth william barbara richard susan joseph "
    "jessica thomas sarah charles karen daniel lisa matthew nancy anthony betty margaret sandra ashley steven kimberly "
    "paul emily andrew donna kevin brian george edward ronald timothy jason jeffrey laura rebecca sharon cynthia",
    "de": "peter michael thomas andreas wolfgang klaus jürgen günter stefan christian uwe werner horst frank dieter "
    "manfred gerhard hans bernd helmut heinz walter karl herbert maria ursula monika petra elisabeth sabine renate "
    "helga karin brigitte ingrid erika andrea gisela claudia susanne gabriele christa christine hildegard anna",
}
_CAPITAL = r"[A-ZÄÖÜ][a-zäöüß]+(?:-[A-ZÄÖÜ][a-zäöüß]+)?"


@dataclass(frozen=True, slots=True)
class Identifier:
    """A stretch of text, characters ``start``..``end``, that may tell who the patient is."""

    kind: Kind
    start: int
    end: int


_CONTACT = re.compile(r"[\w.+-]+@[\w-]+\.\w+|(?:\+|\b00)\d[\d /-]{7,}\d|\b0\d{2,4}[ /-]\d{4,}\b|\b\d{3}-\d{3}-\d{4}\b")
_BARE_NUMBER = re.compile(r"\b(?:\d{3}-\d{2}-\d{4}|[A-Z]\d{9}|\d{6,})\b")
_NAMED = {lang: re.compile(rf"\b(?:(?i:{title})\s+)+(?P<name>[^\W\d_][\w'-]+)") for lang, title in _TITLES.items()}
_BIRTHS = {
    lang: re.compile(text.format(starts="|".join([*_MONTHS[lang], *_DATE_STARTS[lang]])), re.IGNORECASE)
    for lang, text in _BIRTH.items()
}
_RECORDS = {
    lang: re.compile(
        rf"\b(?:{'|'.join(words)})\b(?: is| ist|:| colon| doppelpunkt)*"
        rf"\s+(?=\d|[A-Z]\d|(?:{'|'.join(_DIGIT[lang])})\b)",
        re.IGNORECASE,
    )
    for lang, words in _RECORD_WORDS.items()
}
_DIGIT_RUNS = {
    lang: re.compile(rf"\b(?:(?:{'|'.join(words)})\s+){{5,}}(?:{'|'.join(words)})\b", re.IGNORECASE)
    for lang, words in _DIGIT.items()
}
_FULL_NAMES = {
    lang: re.compile(rf"\b(?:{'|'.join(name.capitalize() for name in names.split())})\s+(?P<name>{_CAPITAL})")
    for lang, names in _FIRST_NAMES.items()
}


def find_identifiers(text: str, lang: Language) -> list[Identifier]:
    """Return what may identify a person, in order of the text."""
    return sorted(set(_find(text, lang)), key=lambda found: (found.start, found.end))


def _find(text: str, lang: Language) -> Iterator[Identifier]:
    for match in _NAMED[lang].finditer(text):
        # German writes every noun with a capital, English dictation none at all: the title alone decides.
        if match["name"].lower() not in _NOT_NAMES[lang]:
            yield Identifier("name", match.start(), match.end())
    for match in _FULL_NAMES[lang].finditer(text):
        yield Identifier("name", match.start(), match.end())
    for match in _BIRTHS[lang].finditer(text):
        yield Identifier("birth date", match.start(), match.end())
    for pattern in (_RECORDS[lang], _DIGIT_RUNS[lang], _BARE_NUMBER):
        for match in pattern.finditer(text):
            yield Identifier("record number", match.start(), match.end())
    for match in _CONTACT.finditer(text):
        yield Identifier("contact", match.start(), match.end())
