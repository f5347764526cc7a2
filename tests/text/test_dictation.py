"""Flags, sections, templates, auto-texts, site styles, explanation, and how the command behaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import medstt
from medstt.cli.format import app
from medstt.errors import MedsttError, OptionError, VocabError
from medstt.text import STYLES, DoseRange, Style, format, open_formatter
from medstt.text.explain import explain
from medstt.text.template import load_templates
from medstt.values import Alternative, Document, Hypothesis, ModelRef, Segment, Transcript, Word


def transcript(text: str, *, weak: str = "", other: str = "") -> Transcript:
    segment = Segment(0, 1000)
    words = tuple(Word(word, segment, 0.2 if word == weak else 0.95) for word in text.split())
    others = (Alternative(other, -0.4),) if other else ()
    heard = Hypothesis(segment, words, -0.2, 0.01, "en", others)
    return Transcript("a.wav", "0" * 64, 1000, "en", ModelRef("fake", "0" * 64), "0" * 64, (heard,))


def reasons(document: Document) -> dict[str, str]:
    return {flag.reason: document.text[flag.start : flag.end] for flag in document.flags}


def test_a_transcript_a_list_and_a_string_give_the_same_text() -> None:
    text = "metoprolol forty seven point five milligrams twice daily period"
    assert {format(source, "en").text for source in (text, text.split(), transcript(text))} == {
        "Metoprolol 47.5 mg twice daily."
    }
    assert medstt.format(text, "en").text == "Metoprolol 47.5 mg twice daily."


def test_spans_point_to_words_commands_and_auto_texts() -> None:
    document = format("mass five centimeters period insert normal chest", "en")
    origins = {document.text[span.start : span.end]: (span.origin, span.words) for span in document.spans}
    assert origins["5"] == ("words", (1,))
    assert origins["."] == ("command", (3,))
    assert origins["The lungs are clear. The heart size is normal. No pleural effusion or pneumothorax."] == (
        "template",
        (4, 5, 6),
    )


def test_what_a_command_removed_is_recorded() -> None:
    document = format("lungs clear period heart large scratch that heart normal period", "en")
    assert document.text == "Lungs clear. Heart normal."
    removed = [span for span in document.spans if span.rule == "command:scratch that"]
    assert [(span.start == span.end, span.words) for span in removed] == [(True, (3, 4, 5, 6))]


def test_a_weak_number_and_a_weak_negation_are_flagged() -> None:
    flagged = reasons(format(transcript("no fever for five days", weak="five"), "en"))
    assert flagged["low_confidence_number"] == "5"
    document = format(transcript("no fever for five days", weak="no"), "en")
    assert [flag.severity for flag in document.flags if flag.reason == "low_confidence_negation"] == ["critical"]


def test_a_twin_in_another_reading_is_flagged_and_never_written() -> None:
    document = format(transcript("hydralazine ten milligrams", other="hydroxyzine ten milligrams"), "en")
    assert document.text == "Hydralazine 10 mg"
    assert reasons(document)["look_alike"] == "Hydralazine"


def test_a_number_without_unit_and_both_sides_are_flagged() -> None:
    assert reasons(format("metoprolol fifty twice daily", "en"))["number_without_unit"] == "50"
    assert reasons(format("metoprolol fifty milligrams twice daily", "en")) == {}
    assert reasons(format("fracture of the left femur on the right", "en"))["both_sides"] == "left femur on the right"
    assert reasons(format("left and right knee bilateral effusion", "en")) == {}
    assert "both_sides" in reasons(format("Fraktur links am rechten Femur", "de"))


def test_doses_are_flagged_only_in_a_range_the_site_supplied() -> None:
    assert "dose_out_of_range" not in reasons(format("warfarin fifty milligrams daily", "en"))
    style = Style(dose_ranges={"warfarin": DoseRange(0.5, 15, "mg")})
    assert reasons(format("warfarin fifty milligrams daily", "en", style=style))["dose_out_of_range"] == "50 mg"


def test_an_unknown_abbreviation_is_flagged() -> None:
    assert reasons(format("q z x pattern", "en"))["unknown_abbreviation"] == "QZX"


def test_headings_name_sections() -> None:
    document = format("findings colon clear period new paragraph impression colon normal period", "en")
    sections = [(section.key, document.text[section.start : section.end].strip()) for section in document.sections]
    assert sections == [("findings", "Findings: Clear."), ("impression", "Impression: Normal.")]


def test_a_template_sets_the_order_of_sections() -> None:
    words = "impression colon normal chest period new paragraph findings colon the lungs are clear period"
    document = format(words, "en", "radiology")
    assert document.text == "Findings:\nThe lungs are clear.\n\nImpression:\nNormal chest."
    assert [section.key for section in document.sections] == ["findings", "impression"]
    german = "Procedere Doppelpunkt Kontrolle Punkt Absatz Diagnosen Doppelpunkt Hypertonie Punkt"
    assert format(german, "de", "arztbrief").text == "Diagnosen:\nHypertonie.\n\nProcedere:\nKontrolle."


def test_a_missing_required_section_is_flagged() -> None:
    assert "missing_section" in {flag.reason for flag in format("findings colon clear period", "en", "radiology").flags}


@pytest.mark.parametrize(
    ("rule", "off", "on"),
    [
        ("drop_trailing_zero", "Warfarin 5.0 mg daily", "Warfarin 5 mg daily"),
        ("safe_units", "Warfarin 5.0 mg QD", "Warfarin 5 mg daily"),
        ("sentence_case", "warfarin 5 mg daily", "Warfarin 5 mg daily"),
    ],
)
def test_each_rule_can_be_switched_off(rule: str, off: str, on: str) -> None:
    spoken = "warfarin five point zero milligrams " + ("q d" if rule == "safe_units" else "daily")
    fields = {rule: False} | ({"drop_trailing_zero": False} if rule == "safe_units" else {})
    assert format(spoken, "en", style=Style(**fields)).text == off  # type: ignore[arg-type]
    assert format(spoken, "en").text == on


def test_the_sign_for_micrograms_is_the_sites_choice() -> None:
    assert format("fifty micrograms", "en").text == "50 mcg"
    assert format("fünfzig Mikrogramm", "de").text == "50 µg"
    assert format("fifty micrograms", "en", style=Style(microgram="µg")).text == "50 µg"
    assert STYLES["de"].decimal_sign == ","


def test_an_explanation_names_words_rule_and_text() -> None:
    words = "warfarin five point zero milligrams q d".split()
    rows = {row.text: (row.words, row.rule) for row in explain(format(words, "en"), words)}
    assert rows["5"] == ("five point zero", "number+trailing-zero")
    assert rows["daily"] == ("q d", "safe-abbreviation")


@pytest.mark.parametrize("call", [lambda: format("x", "fr"), lambda: format("x", "en", "nowhere")])
def test_unknown_language_and_template_are_refused(call: object) -> None:
    with pytest.raises(OptionError, match="Choose one of"):
        call()  # type: ignore[operator]


def site_file(folder: Path, text: str) -> Path:
    (folder / "site.toml").write_text(text, "utf-8")
    return folder


def test_a_sites_auto_text_wins_and_fills_variables(tmp_path: Path) -> None:
    site = site_file(
        tmp_path,
        '[[auto_text]]\nname = "normal chest"\nlanguage = "en"\ntext = "Clear. {insert:closing}"\n'
        '[[auto_text]]\nname = "closing"\nlanguage = "en"\ntext = "Read by {physician}."\n',
    )
    style = Style(variables={"physician": "Dr. Example"})
    assert format("insert normal chest", "en", site=site, style=style).text == "Clear. Read by Dr. Example."
    document = format("insert normal chest", "en", site=site)
    assert reasons(document)["missing_variable"] == "[physician]"


def test_an_unknown_auto_text_stays_as_dictated_and_is_flagged() -> None:
    document = format("insert macro moonshine", "en")
    assert document.text == "Insert macro moonshine"
    assert "unknown_auto_text" in reasons(document)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[[auto_text]]\nname = "a"\nlanguage = "en"\ntext = "{insert:a}"\n', "circle: a -> a"),
        ('[[auto_text]]\nname = "a"\nlanguage = "en"\ntext = "{insert:b}"\n', "which does not exist"),
        ('[[auto_text]]\nname = "a"\nlanguage = "en"\n', "'text' must be a text"),
        ('[[auto_text]]\nname = "a"\nlanguage = "fr"\ntext = "x"\n', "unknown language"),
        ('[[template]]\nname = "a"\nlanguage = "en"\n', "has no section"),
        ("[[auto_text]\n", "site.toml"),
        ('[other]\nx = "y"\n', "unknown table"),
    ],
)
def test_a_bad_site_file_is_refused_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(VocabError, match=r"site\.toml|auto-text") as caught:
        load_templates("en", site_file(tmp_path, text))
    assert reason in str(caught.value)


def test_the_command_writes_text_explanation_and_json(tmp_path: Path) -> None:
    source = tmp_path / "words.txt"
    source.write_text("warfarin five point zero milligrams daily period", "utf-8")
    plain = CliRunner().invoke(app, [str(source), "--language", "en", "--explain"])
    assert plain.stdout == "Warfarin 5 mg daily.\n"
    assert "'five point zero' -> number+trailing-zero -> '5'" in plain.stderr
    piped = CliRunner().invoke(app, ["-", "--language", "en", "--json"], input="no fever period")
    assert json.loads(piped.stdout)["text"] == "No fever."


def test_the_command_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes("Läsion".encode("latin-1"))
    for source in (latin, tmp_path / "nowhere.txt"):
        outcome = CliRunner().invoke(app, [str(source), "--language", "de"])
        assert isinstance(outcome.exception, MedsttError)


def test_a_formatter_is_opened_once_for_many() -> None:
    formatter = open_formatter("de")
    assert [formatter.format(text).text for text in ("zwei Läsionen", "eine Läsion")] == ["2 Läsionen", "Eine Läsion"]
