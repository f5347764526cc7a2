"""How a caller names a vocabulary, and what is refused or warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from medstt.errors import VocabError
from medstt.listen import open_vocabulary, parse_vocabulary
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


def test_a_list_in_the_wrong_language_and_double_spellings_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("Blutdrücke\nÖdem\nMüdigkeit\nSchwäche\nNävus\nMarvexol\nmarvexol\n", encoding="utf-8")
    warnings = " ".join(open_vocabulary([path], "en")[1])
    assert "German letters" in warnings
    assert "several spellings: Marvexol / marvexol" in warnings
    table = tmp_path / "de" / "site.tsv"
    table.parent.mkdir()
    table.write_text("term\tkind\nQuorvamab\tdrug\n", encoding="utf-8")
    assert "no term in the language en" in open_vocabulary([table], "en")[1][0]


def test_keywords_of_a_prompt() -> None:
    assert parse_keywords("Marvexol, Zentrubin forte;\nOstrelix.") == (["Marvexol", "Zentrubin forte", "Ostrelix"], 0)
    assert parse_keywords("The patient was seen this morning and is doing rather well today.") == ([], 1)
    assert parse_keywords("") == ([], 0)
