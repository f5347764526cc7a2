"""Sentences from templates: coverage, taught terms, twins, missing lists; the shipped grammars hold."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from medstt.errors import DataError
from medstt.synth.compose import builtin_grammar_folder
from medstt.synth.grammar import Deck, SpokenTerm, read_grammar
from medstt.synth.number import GENERATORS
from medstt.synth.vocabulary import LISTS
from medstt.values import LANGUAGES, Language

GRAMMAR = """
[slots]
organ = ["heart", "{anatomy}"]
odd = ["{lab}"]

[[templates]]
text = ["the {organ} is clear", "{odd} is low", "{lab} is high (today)"]

[[templates]]
drug = true
text = ["{drug} {dose}", "{drug} not {twin}", "stop {drug}", "no (further) {drug}"]
"""


@pytest.fixture
def grammar_file(tmp_path: Path) -> Path:
    path = tmp_path / "en.toml"
    path.write_text(GRAMMAR)
    return path


def terms(*names: str) -> list[SpokenTerm]:
    return [SpokenTerm(name, name) for name in names]


def test_each_term_comes_as_often_as_the_others(grammar_file: Path) -> None:
    rng = random.Random(1)
    names = [f"drug{letter}" for letter in "abcdefg"]
    deck = Deck(terms(*names), rng)
    counts = Counter(deck.draw().text for _ in range(7 * 5))
    assert counts == dict.fromkeys(names, 5)


def test_a_taught_term_is_said_as_often_as_asked_in_all_templates(grammar_file: Path) -> None:
    grammar = read_grammar(grammar_file, "en", LISTS)
    rng = random.Random(1)
    decks = {"drug": Deck(terms("aspirin"), rng)}
    taught = [SpokenTerm("Zorvex", "zor vex", ("Zorvan",), "[[zO@v]]"), SpokenTerm("Quilimab", "Quilimab")]
    sentences = list(grammar.about(rng, decks, "drug", taught, 6))
    assert len(sentences) == 12
    of = [one for one in sentences if "Zorvex" in one.terms]
    assert len(of) == 6
    assert len({one.text.split("milli")[0][:12] for one in of}) >= 4  # four templates take turns
    assert all("zor vex" in one.speech and "[[" not in one.speech and "[[zO@v]]" in one.phonemes for one in of)
    twin = [one for one in of if "Zorvan" in one.terms]
    assert twin
    assert all(one.text == "Zorvex not Zorvan" for one in twin)
    assert all(not one.phonemes for one in sentences if "Quilimab" in one.terms)


def test_ways_to_say_a_term_take_turns(grammar_file: Path) -> None:
    grammar = read_grammar(grammar_file, "en", LISTS)
    ways = [SpokenTerm("CRP", "CRP", name="CRP"), SpokenTerm("c reactive protein", "c reactive protein", name="CRP")]
    rng = random.Random(1)
    sentences = list(grammar.limited({"lab"}).about(rng, {"lab": Deck(ways, rng)}, "lab", ways, 4))
    assert [one.text.startswith("CRP") for one in sentences] == [True, False, True, False]
    assert all(one.terms == ("CRP",) for one in sentences)


def test_templates_without_their_list_are_left_out(grammar_file: Path) -> None:
    grammar = read_grammar(grammar_file, "en", LISTS).limited([])
    rng = random.Random(1)
    assert {grammar.sentence(rng, {}, drugs=False).text for _ in range(20)} == {"the heart is clear"}
    with pytest.raises(DataError, match="no template"):
        grammar.sentence(rng, {}, drugs=True)


def test_an_unknown_slot_is_named(tmp_path: Path) -> None:
    (tmp_path / "en.toml").write_text('[slots]\n[[templates]]\ntext = ["the {hart} beats"]\n')
    with pytest.raises(DataError, match=r"unknown slot \{hart\}"):
        read_grammar(tmp_path / "en.toml", "en", LISTS)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_shipped_grammars_fill_every_slot(lang: Language) -> None:
    grammar = read_grammar(builtin_grammar_folder() / f"{lang}.toml", lang, LISTS)
    rng = random.Random(1)
    decks = {name: Deck(terms(f"{name} one", f"{name} two"), rng) for name in LISTS}
    said = [grammar.sentence(rng, decks, drugs=number % 2 == 0).text for number in range(1500)]
    assert not any(mark in text for text in said for mark in "{}()\x00")
    assert not any(character.isdigit() for text in said for character in text)
    assert len(set(said)) > 1200
    for slot in LISTS:
        about = list(grammar.about(rng, decks, slot, terms("Zorvex"), 8))
        assert all("Zorvex" in sentence.text for sentence in about)
        assert len({sentence.text for sentence in about}) == 8


def test_generators_and_lists_do_not_collide() -> None:
    assert set(GENERATORS).isdisjoint(LISTS)
