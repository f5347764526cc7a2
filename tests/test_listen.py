"""How a caller names a vocabulary, and what is refused or warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from medstt.errors import VocabError
from medstt.listen import open_vocabulary, parse_vocabulary
from medstt.vocab import BiasPhrase, Lexicon
from medstt.vocab.listed import MOST_TERMS, parse_keywords


def test_files_folders_words_and_nothing(tmp_path: Path) -> None:
    plain, table = tmp_path / "names.txt", tmp_path / "en" / "site.tsv"
    plain.write_text("# our own\nMarvexol\n\nZentrubin forte\n", encoding="utf-8")
    table.parent.mkdir()
    table.write_text("term\tkind\nQuorvamab\tdrug\n", encoding="utf-8")
    lexicon, warnings = open_vocabulary([plain, table, "Ostrelix"], "en")
    assert lexicon is not None
    assert warnings == ()
    layers = {phrase.text: phrase.layer for phrase in lexicon.bias_phrases(10_000_000)}
    assert layers["Marvexol"] == layers["Zentrubin forte"] == layers["Ostrelix"] == "user"
    assert layers["Quorvamab"] == "site"
    assert "metoprolol" in layers
    assert open_vocabulary((), "en") == (None, ())
    assert open_vocabulary(None, "en")[0] == open_vocabulary(parse_vocabulary(["builtin"]), "en")[0]
    assert parse_vocabulary(["none"]) == ()


def test_bad_lists_are_named(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    with pytest.raises(VocabError, match=r"names.txt: there is no such file"):
        parse_vocabulary([str(path)])
    with pytest.raises(VocabError, match="stands alone"):
        parse_vocabulary(["none", "x"])
    path.write_text("", encoding="utf-8")
    with pytest.raises(VocabError, match="is empty"):
        open_vocabulary([path], "en")
    path.write_text("# nothing yet\n", encoding="utf-8")
    assert open_vocabulary([path], "en")[1] == ("names.txt holds no term",)
    path.write_text("the patient was seen today and has no further complaints at all\n", encoding="utf-8")
    with pytest.raises(VocabError, match=r"names.txt:1: .* is no term"):
        open_vocabulary([path], "en")
    path.write_text("\n".join(f"name{number}" for number in range(MOST_TERMS + 1)), encoding="utf-8")
    with pytest.raises(VocabError, match=rf"names.txt:{MOST_TERMS + 1}: more than"):
        open_vocabulary([path], "en")


def test_a_list_in_the_wrong_language_is_taken_and_what_was_seen_is_said(tmp_path: Path) -> None:
    german, english = tmp_path / "german.txt", tmp_path / "english.txt"
    german.write_text("Herzinsuffizienz\nLungenentzündung\nVorhofflimmern\nmetoprolol\nramipril\n", encoding="utf-8")
    english.write_text("heart failure\nkidney stones\nappendicitis\nmetoprolol\n", encoding="utf-8")
    lexicon, (warning,) = open_vocabulary([german], "en")
    assert lexicon is not None
    assert "Herzinsuffizienz" in lexicon
    assert "3 of 3 terms that are no drugs look German (Herzinsuffizienz, " in warning
    assert "the language is English" in warning
    (warning,) = open_vocabulary([english], "de")[1]
    assert "look English (heart failure" in warning
    for path, language in ((german, "de"), (english, "en"), (german, None), (english, None)):
        assert open_vocabulary([path], language)[1] == ()  # type: ignore[arg-type]
    table = tmp_path / "en" / "site.tsv"
    table.parent.mkdir()
    table.write_text("term\tkind\n" + "".join(f"{word}\tcondition\n" for word in WORDS), encoding="utf-8")
    assert "look German (Blutdrücke, Müdigkeit, Schwäche" in open_vocabulary([table], "en")[1][0]


WORDS = ("Blutdrücke", "Müdigkeit", "Schwäche", "fatigue")


def test_drugs_and_people_have_no_language() -> None:
    drugs = ["Metoprolol", "Ramipril", "Aspirin", "Acetylsalicylsäure", "Levothyroxin", "Pantoprazol", "Clopidogrel"]
    people = ["Müller", "Marvexol", "Zentrubin forte", "Ostrelix", "Quorvamab", "Smith", "Jones"]
    for language in ("en", "de"):
        assert open_vocabulary(drugs, language)[1] == ()  # type: ignore[arg-type]
        assert open_vocabulary(people, language)[1] == ()  # type: ignore[arg-type]


def test_a_table_of_another_language_and_double_spellings_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("Marvexol\nmarvexol\n", encoding="utf-8")
    assert "several spellings: Marvexol / marvexol" in " ".join(open_vocabulary([path], "en")[1])
    table = tmp_path / "de" / "site.tsv"
    table.parent.mkdir()
    table.write_text("term\tkind\nQuorvamab\tdrug\n", encoding="utf-8")
    assert "no term in the language en" in open_vocabulary([table], "en")[1][0]


HEADER = "term\tkind\tlanguage\tspoken\n"


def phrase_of(lexicon: Lexicon | None, text: str) -> BiasPhrase:
    assert lexicon is not None
    (found,) = [phrase for phrase in lexicon.bias_phrases(10_000_000) if phrase.text == text]
    return found


def test_rows_of_one_table_that_contradict_one_another_are_named(tmp_path: Path) -> None:
    path = tmp_path / "site.tsv"
    rows = "Marvexol\tdrug\ten\tmar vexol\nZentrubin\tdrug\ten\t\nMarvexol\tdrug\ten\tmarve ksol\n"
    path.write_text(HEADER + rows, encoding="utf-8")
    lexicon, (warning,) = open_vocabulary([path], "en")
    assert "1 terms have different spoken forms (Marvexol in site.tsv:2 and site.tsv:4): " in warning
    assert phrase_of(lexicon, "Marvexol").spoken == ("marve ksol",)  # the last row
    path.write_text(HEADER + "Marvexol\tcondition\ten\tmar vexol\nMarvexol\tdrug\ten\tmarve ksol\n", encoding="utf-8")
    lexicon, warnings = open_vocabulary([path], "en")
    assert "1 terms have different weights (Marvexol in site.tsv:2 and site.tsv:3): the higher one" in warnings[1]
    found = phrase_of(lexicon, "Marvexol")
    assert found.spoken == ("marve ksol", "mar vexol")  # of both kinds
    assert found.weight == pytest.approx(1.3)
    path.write_text(HEADER + "Marvexol\tdrug\ten\tmar vexol\n" * 2, encoding="utf-8")
    assert open_vocabulary([path], "en")[1] == ()  # twice the same is no contradiction


def test_layers_that_contradict_one_another_are_named_and_the_higher_one_counts(tmp_path: Path) -> None:
    site, department, plain = tmp_path / "site.tsv", tmp_path / "department.tsv", tmp_path / "names.txt"
    site.write_text(HEADER + "Marvexol\tdrug\ten\tmar vexol\n", encoding="utf-8")
    department.write_text(HEADER + "Marvexol\tdrug\ten\tmarve ksol\n", encoding="utf-8")
    lexicon, (warning,) = open_vocabulary([site, department], "en")
    assert "Marvexol in site.tsv:2 and department.tsv:2" in warning
    found = phrase_of(lexicon, "Marvexol")
    assert (found.layer, found.spoken, found.weight) == ("department", ("marve ksol",), 1.5)
    plain.write_text("Marvexol\n", encoding="utf-8")
    lexicon, warnings = open_vocabulary([site, plain], "en")
    assert warnings == ()  # a bare name says nothing against spoken forms, it keeps them
    found = phrase_of(lexicon, "Marvexol")
    assert (found.layer, found.spoken, found.weight) == ("user", ("mar vexol",), 1.7)


def test_keywords_of_a_prompt() -> None:
    assert parse_keywords("Marvexol, Zentrubin forte;\nOstrelix.") == (["Marvexol", "Zentrubin forte", "Ostrelix"], 0)
    assert parse_keywords("The patient was seen this morning and is doing rather well today.") == ([], 1)
    assert parse_keywords("") == ([], 0)
