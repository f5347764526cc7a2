from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from num2words import num2words

from medstt.errors import OptionError
from medstt.text.normalise import LEVELS, Token, canonicalise, normalise, normaliser_id

SAME = [
    ("en", "five milligrams", "5 mg"),
    ("en", "Five milligrams.", "5mg"),
    ("en", "platelets <5", "platelets less than five"),
    ("en", "-0.5", "minus zero point five"),
    ("en", "forty seven point five mg", "47.5 mg"),
    ("en", "one twenty over eighty", "120/80"),
    ("en", "one hundred and twenty over eighty millimeters of mercury", "120/80 mmHg"),
    ("en", "March third, twenty twenty five", "March 3, 2025"),
    ("en", "03/04/2025", "March fourth twenty twenty five"),
    ("en", "five to ten milligrams", "5-10 mg"),
    ("en", "he doesn't", "he does not"),
    ("en", "L five S one", "L5/S1"),
    ("en", "eight thirty a m", "8:30 AM"),
    ("en", "twenty-five thousand", "25,000"),
    ("en", "one thousand, five hundred", "1500"),
    ("en", "NYHA three", "NYHA III"),
    ("en", "five milligrams per deciliter", "5 mg/dL"),
    ("en", "three by four centimeters", "3 x 4 cm"),
    ("en", "four out of five", "4/5"),
    ("en", "uh the patient", "the patient"),
    ("en", "one and a half tablets", "1.5 tablets"),
    ("en", "at least five days", ">=5 days"),
    ("en", "one zero one", "1-0-1"),
    ("en", "nineteen eighty five", "1985"),
    ("en", "5.0 mg", "5 mg"),
    ("de", "fünf Milligramm", "5 mg"),
    ("de", "drei Komma fünf Zentimeter", "3,5 cm"),
    ("de", "fünfundzwanzigtausend Einheiten", "25.000 Einheiten"),
    ("de", "siebzehn Millionen zweihundertsiebzehntausendzweihundert", "17217200"),
    ("de", "hundertzwanzig zu achtzig", "120/80"),
    ("de", "zweiter Mai zweitausendvierundzwanzig", "2. Mai 2024"),
    ("de", "zweiter fünfter zweitausendvierundzwanzig", "02.05.2024"),
    ("de", "acht Uhr dreißig", "8:30 Uhr"),
    ("de", "kleiner fünf", "< 5"),
    ("de", "minus null Komma fünf", "-0,5"),
    ("de", "Zustand nach", "Z.n."),
    ("de", "ohne Befund", "o.B."),
    ("de", "ein Milligramm", "1 mg"),
    ("de", "neunzehnhundertfünfundachtzig", "1985"),
    ("de", "einundneunzig Prozent", "91 %"),
    ("de", "eintausendzweihundertfünfzig", "1.250"),
    ("de", "anderthalb Tabletten", "1,5 Tabletten"),
]

DIFFERENT = [
    ("platelets <5", "platelets >5"),
    ("-0.5", "0.5"),
    ("5-10 mg", "5 10 mg"),
    ("5 mg", "5 µg"),
    ("5 mg", "5 mg/dl"),
    ("schon", "schön"),
    ("1/2", "12"),
    ("1.5", "15"),
    ("L4", "L5"),
]


@pytest.mark.parametrize(("language", "spoken", "written"), SAME)
def test_one_content_in_two_spellings_is_one(language: str, spoken: str, written: str) -> None:
    assert normalise(spoken, language) == normalise(written, language)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_no_level_hides_a_difference_that_matters(one: str, other: str, level: str, language: str) -> None:
    assert normalise(one, language, level) != normalise(other, language, level)  # type: ignore[arg-type]


def test_plain_keeps_numbers_as_written_and_drops_sentence_marks() -> None:
    assert normalise("Hello, < 5; -0.5 .5 follow-up (test).", "en", "plain") == [
        "hello", "<5", "-0.5", ".5", "follow-up", "test",
    ]  # fmt: skip


def test_words_that_look_like_numbers_or_fillers_stay() -> None:
    assert normalise("eine Wunde, 5 mm", "de") == ["eine", "wunde", "5", "mm"]
    assert normalise("a second look may help", "en") == ["a", "second", "look", "may", "help"]
    assert normalise("twenty, five", "en") == ["20", "5"]


def test_tokens_say_what_they_are() -> None:
    assert canonicalise("less than five mg on March 3", "en") == [
        Token("<", "sign"), Token("5", "number", spoken=True), Token("mg", "unit"), Token("on", "word"),
        Token("--03-03", "date"),
    ]  # fmt: skip


def test_unknown_level_and_language_are_refused() -> None:
    with pytest.raises(OptionError, match="content"):
        normalise("x", "en", "loose")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="fr"):
        normalise("x", "fr")
    assert normaliser_id("content").startswith("content-")


WORDS = st.sampled_from(
    "no not left right five twenty hundred and point over minus less than mg milligrams per 5 0.5 120/80 <5 - March "
    "third kein links fünf zwanzig hundert Komma bis ein Mai zweiter Uhr % ° / ( ) . , a i v first".split()
)


@settings(deadline=None)
@given(st.lists(WORDS, max_size=12).map(" ".join), st.sampled_from(["en", "de"]))
def test_any_word_salad_is_read_the_same_in_any_case_and_spacing(text: str, language: str) -> None:
    once = normalise(text, language)
    assert normalise("  " + text.replace(" ", "   "), language) == once
    assert normalise(text.upper().replace("SS", "ss"), language) == once


@settings(deadline=None)
@given(st.text(max_size=60), st.sampled_from(["en", "de"]))
def test_any_text_is_read_without_failing(text: str, language: str) -> None:
    for level in LEVELS:
        assert all(token and not token.isspace() for token in normalise(text, language, level))


@settings(deadline=None)
@given(st.integers(0, 999_999), st.sampled_from(["en", "de"]))
def test_number_words_of_another_library_are_read(value: int, language: str) -> None:
    assert normalise(num2words(value, lang=language), language) == [str(value)]
