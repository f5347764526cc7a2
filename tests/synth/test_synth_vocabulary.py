"""The lexicon's lists for sentences: no held-out drug in them, spoken forms, taught terms."""

from __future__ import annotations

from pathlib import Path

import pytest

from medstt.errors import DataError, VocabError
from medstt.synth.compose import builtin_grammar_folder, compose
from medstt.synth.corpus import names_any
from medstt.synth.recipe import SynthRecipe
from medstt.synth.vocabulary import Vocabulary, build_vocabularies, read_chosen, spoken_forms
from medstt.values import LANGUAGES, Language
from medstt.vocab import Term, held_out_names, load_lexicon


@pytest.fixture(scope="module")
def vocabularies() -> dict[Language, Vocabulary]:
    return build_vocabularies()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_list_holds_a_held_out_drug(vocabularies: dict[Language, Vocabulary], lang: Language) -> None:
    held = held_out_names(load_lexicon(None))
    words = vocabularies[lang]
    for name, terms in words.lists.items():
        assert not [term.text for term in terms if term.text.lower() in held], name
        assert not [twin for term in terms for twin in term.twins if twin.lower() in held], name
    assert words.held_out
    assert all(names_any(term.text.lower().split(), words.forbidden) for term in words.held_out[:200])
    assert len(words.lists["drug"]) > 1000


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_grammars_own_words_name_no_held_out_drug(vocabularies: dict[Language, Vocabulary], lang: Language) -> None:
    text = (builtin_grammar_folder() / f"{lang}.toml").read_text(encoding="utf-8").lower()
    words = "".join(character if character.isalpha() else " " for character in text).split()
    forbidden = vocabularies[lang].forbidden
    assert [word for word in words if names_any([word], forbidden)] == []


def test_spoken_forms() -> None:
    term = Term("interferon beta-1a", "drug", "en", pronunciation="[[Int@fI@r0n]]", spoken=("beta interferon", "IFN-1"))
    first, second, third = spoken_forms(term)
    assert (first.text, first.phonemes, first.name) == ("interferon beta one a", "[[Int@fI@r0n]]", "interferon beta-1a")
    assert (second.text, second.speech, second.phonemes) == ("beta interferon", "beta interferon", "")
    assert third.text == "IFN one"
    (respelled,) = spoken_forms(Term("Xeljanz", "brand", "en", pronunciation="zel jans"))
    assert (respelled.text, respelled.speech, respelled.phonemes) == ("Xeljanz", "zel jans", "")
    assert spoken_forms(Term("±", "unit", "en")) == []


def test_terms_from_a_table_and_from_a_list(tmp_path: Path) -> None:
    table = tmp_path / "site.tsv"
    table.write_text("term\tkind\tlanguage\nZorvexil\tdrug\ten\nRadiusfraktur\tcondition\tde\n")
    assert [(term.text, term.kind, term.language) for term in read_chosen(table)] == [
        ("Zorvexil", "drug", "en"),
        ("Radiusfraktur", "condition", "de"),
    ]
    listed = tmp_path / "site.txt"
    listed.write_text("# ours\nZorvexil\nMetoprolol\nZorvexil\n\n")
    assert [(term.text, term.kind) for term in read_chosen(listed, "en")] == [
        ("Zorvexil", "name"),
        ("Metoprolol", "drug"),
    ]
    with pytest.raises(DataError, match="--language"):
        read_chosen(listed)
    listed.write_text("%%\n")
    with pytest.raises(VocabError, match="'%%' cannot be spoken"):
        read_chosen(listed, "en")
    listed.write_text("\n")
    with pytest.raises(DataError, match="no term"):
        read_chosen(listed, "en")


def test_taught_terms_are_sorted_by_slot(tmp_path: Path) -> None:
    held = next(name for name in sorted(held_out_names(load_lexicon("en"))) if name.isalpha())
    chosen = [Term(held, "drug", "en"), Term("Station Nord", "name", "en"), Term("Fieber", "condition", "de")]
    words = build_vocabularies(chosen=chosen)
    assert [term.text for term in words["en"].chosen["drug"]] == [held]  # asked for by name, so not held out
    assert [term.text for term in words["en"].chosen["term"]] == ["Station Nord"]
    assert set(words["de"].chosen) == {"condition"}


@pytest.mark.parametrize(("lang", "name"), [("de", "Ahornflügel"), ("en", "Mapleton")])
def test_a_name_is_taught_in_every_sentence_with_room_for_it(lang: Language, name: str) -> None:
    words = build_vocabularies((), [Term(name, "name", lang)])
    said = [row.text for row in compose(SynthRecipe(seed=1, per_term=40), words, builtin_grammar_folder(), None)]
    assert len(said) == 40
    assert all(name in text for text in said)
