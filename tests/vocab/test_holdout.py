"""The hold-out rule as the data's README states it."""

from __future__ import annotations

import zlib

from medstt.vocab import held_out_names, is_held_out, load_lexicon


def test_rule_is_the_checksum() -> None:
    for name in ("metoprolol", "Insulin glargine", "ramipril", "zopiclone"):
        assert is_held_out(name) == (zlib.crc32(name.lower().encode()) % 5 == 0)


def test_german_names_and_brands_follow_their_english_generic() -> None:
    lexicon = load_lexicon(None)
    held = lexicon.held_out_names()
    for term in lexicon:
        if term.kind == "drug":
            assert (term.text.lower() in held) >= is_held_out(term.en or term.text)
        if term.kind == "brand" and term.language == "de":
            assert (term.text.lower() in held) >= is_held_out(term.en)
    share = len([term for term in lexicon if term.kind == "drug" and is_held_out(term.en or term.text)]) / len(
        [term for term in lexicon if term.kind == "drug"]
    )
    assert 0.15 < share < 0.25


def test_names_only_in_pairs_are_held_out() -> None:
    lexicon = load_lexicon("en")
    assert "neverheardol" in held_out_names(lexicon, ["Neverheardol"])
    assert held_out_names([], ["A"]) == {"a"}
