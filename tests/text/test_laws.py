"""Laws both languages obey: nothing dictated is lost or altered, every span maps, written text stays as it is."""

from __future__ import annotations

import re
import sys
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from num2words import num2words

from medstt.text import open_formatter

LANGUAGES = ("en", "de")
SETTINGS = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SIDES = {"en": ("left", "right", "bilateral"), "de": ("links", "rechts", "beidseits", "linke", "rechte")}
NEGATIONS = {"en": ("no", "not", "without", "denies", "never"), "de": ("kein", "keine", "nicht", "ohne", "nie")}
DRUGS = {
    "en": ("metoprolol", "hydralazine", "hydroxyzine", "prednisone", "warfarin", "clonidine"),
    "de": ("Metoprolol", "Hydralazin", "Prednisolon", "Phenprocoumon", "Clonidin", "Torasemid"),
}
PLAIN = {
    "en": ("the", "patient", "pain", "lesion", "knee", "with", "and", "is", "for", "to", "in", "mild", "effusion"),
    "de": ("der", "Patient", "Schmerz", "Läsion", "Knie", "mit", "und", "ist", "für", "zu", "in", "leicht", "Erguss"),
}
COUNTED = {
    "en": ("milligrams", "centimeters", "percent", "weeks", "units"),
    "de": ("Milligramm", "Zentimeter", "Prozent", "Wochen", "Einheiten"),
}
SIGN = {"en": "minus", "de": "minus"}
POINT = {"en": "point", "de": "Komma"}


def spoken(value: int, language: str) -> str:
    return str(num2words(value, lang=language)).replace(",", "").replace("-", " " if language == "en" else "-")


def digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=st.text(max_size=80))
@SETTINGS
def test_any_text_gives_a_document_whose_spans_lie_in_it(language: str, text: str) -> None:
    document = open_formatter(language).format(text)
    for span in document.spans:
        assert 0 <= span.start <= span.end <= len(document.text)
    for flag in document.flags:
        assert 0 <= flag.start <= flag.end <= len(document.text)


@pytest.mark.parametrize("language", LANGUAGES)
@given(data=st.data())
@SETTINGS
def test_every_word_is_behind_some_span(language: str, data: st.DataObject) -> None:
    pool = [*SIDES[language], *NEGATIONS[language], *DRUGS[language], *PLAIN[language], *COUNTED[language]]
    pool += [spoken(n, language) for n in (1, 2, 5, 20, 47, 120)] + ["period", "Punkt", "over", "zu", "bis", "per"]
    words = " ".join(data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=25))).split()
    document = open_formatter(language).format(words)
    assert {index for span in document.spans for index in span.words} == set(range(len(words)))
    written = [span for span in document.spans if span.end > span.start]
    assert all(span.words or span.origin != "words" for span in written)
    bare = list(document.text)
    for span in written:
        bare[span.start : span.end] = [" "] * (span.end - span.start)
    assert "".join(bare).strip() == ""


@pytest.mark.parametrize("language", LANGUAGES)
@given(value=st.integers(2, 99_999), unit=st.integers(0, 4))
@SETTINGS
def test_integers_keep_their_value(language: str, value: int, unit: int) -> None:
    text = open_formatter(language).format(f"{spoken(value, language)} {COUNTED[language][unit]}").text
    assert digits(text) == str(value)


@pytest.mark.parametrize("language", LANGUAGES)
@given(whole=st.integers(0, 400), fraction=st.integers(1, 9), negative=st.booleans())
@SETTINGS
def test_decimals_keep_value_and_sign(language: str, whole: int, fraction: int, negative: bool) -> None:
    words = f"{spoken(whole, language)} {POINT[language]} {spoken(fraction, language)}"
    text = open_formatter(language).format(f"{'minus ' if negative else ''}{words}").text
    sign = "," if language == "de" else "."
    assert text == f"{'-' if negative else ''}{whole}{sign}{fraction}"


@pytest.mark.parametrize("language", LANGUAGES)
@given(data=st.data())
@SETTINGS
def test_sides_negations_and_drugs_are_conserved(language: str, data: st.DataObject) -> None:
    kept = [*SIDES[language], *NEGATIONS[language], *DRUGS[language]]
    numbers = [spoken(n, language) for n in (1, 2, 3, 15, 50, 120)]
    words = data.draw(st.lists(st.sampled_from([*kept, *PLAIN[language], *COUNTED[language], *numbers]), max_size=30))
    text = open_formatter(language).format(" ".join(words)).text
    wanted = Counter(word.lower() for word in words if word in kept)
    found = Counter(word for word in re.findall(r"\w+", text.lower()) if word in wanted)
    assert found == wanted


@pytest.mark.parametrize("language", LANGUAGES)
@given(data=st.data())
@SETTINGS
def test_formatting_twice_changes_nothing_without_commands(language: str, data: st.DataObject) -> None:
    numbers = [spoken(n, language) for n in (1, 2, 3, 7, 15, 50, 120, 2024, 12_500)]
    links = {"en": ("over", "to", "by", "per", "of", "times"), "de": ("zu", "bis", "mal", "pro", "von", "Uhr")}[
        language
    ]
    pool = [*SIDES[language], *DRUGS[language], *PLAIN[language], *COUNTED[language], *numbers, *links]
    words = " ".join(data.draw(st.lists(st.sampled_from(pool), max_size=20)))
    formatter = open_formatter(language)
    once = formatter.format(words).text
    assert formatter.format(once).text == once


SENTENCES = {
    "en": "metoprolol forty seven point five milligrams twice daily period new line scratch that quote one over two ",
    "de": "Metoprolol siebenundvierzig Komma fünf Milligramm eins null eins Punkt neue Zeile letzten Satz löschen ",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_work_grows_with_length_and_not_faster(language: str) -> None:
    """Counted in calls, because a time depends on what else the machine does."""
    formatter = open_formatter(language)

    def calls(times: int) -> int:
        events: Counter[str] = Counter()
        before = sys.getprofile()
        sys.setprofile(lambda _frame, event, _argument: events.update((event,)))
        try:
            formatter.format(SENTENCES[language] * times)
        finally:
            sys.setprofile(before)
        return events["call"] + events["c_call"]

    calls(1)
    assert calls(80) < 4.5 * calls(20)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "text", ["\ud800 half", "\x00\x01 mg", "🫀 zwei", "9" * 5000, "eins " * 3000, '"' * 999, "a" * 50_000]
)
def test_odd_text_is_left_as_dictated(language: str, text: str) -> None:
    document = open_formatter(language).format(text)
    assert document.text
