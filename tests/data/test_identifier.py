"""What names a person is flagged, what every report says is not."""

from __future__ import annotations

import pytest

from medstt.data.identifier import find_identifiers

FLAGGED = [
    ("en", "we saw mrs jones today", {"name"}),
    ("en", "Mr. O'Neill was discharged", {"name"}),
    ("en", "Mary Miller has a cough", {"name"}),
    ("en", "date of birth march third nineteen sixty", {"birth date"}),
    ("en", "born on 03/04/1960 in Leeds", {"birth date"}),
    ("en", "medical record number 12345", {"record number"}),
    ("en", "MRN colon four four one two", {"record number"}),
    ("en", "his number is one two three four five six seven", {"record number"}),
    ("en", "write to a.b@clinic.org", {"contact"}),
    ("de", "wir berichten über Frau Schmidt", {"name"}),
    ("de", "Herrn Doktor Weber", {"name"}),
    ("de", "Hans Müller wurde entlassen", {"name"}),
    ("de", "geboren am dritten März neunzehnhundertsechzig", {"birth date"}),
    ("de", "geb. 03.04.1960", {"birth date"}),
    ("de", "Fallnummer 4711", {"record number"}),
    ("de", "Versichertennummer A123456789", {"record number"}),
]
HARMLESS = [
    ("en", "the patient was born with a heart defect"),
    ("en", "blood pressure one hundred twenty over eighty"),
    ("en", "the doctor said that platelets are 250000 per microliter"[:40]),
    ("en", "take five milligrams twice daily for three months"),
    ("en", "no known drug allergies period"),
    ("de", "sehr geehrte Frau Kollegin Komma"),
    ("de", "der Patient klagt über Kopfschmerzen seit drei Tagen"),
    ("de", "Troponin null Komma eins"),
    ("de", "die Nummer eins bis vier der Liste"),
]


@pytest.mark.parametrize(("lang", "text", "kinds"), FLAGGED)
def test_flagged(lang: str, text: str, kinds: set[str]) -> None:
    found = find_identifiers(text, lang)  # type: ignore[arg-type]
    assert {each.kind for each in found} == kinds
    assert all(text[each.start : each.end].strip() for each in found)


@pytest.mark.parametrize(("lang", "text"), HARMLESS)
def test_harmless(lang: str, text: str) -> None:
    assert find_identifiers(text, lang) == []  # type: ignore[arg-type]
