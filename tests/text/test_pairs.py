"""Every spoken/written pair, ours and those written apart from the rules, gives exactly the written text."""

from __future__ import annotations

from pathlib import Path

import pytest

from medstt.text import open_formatter

PAIRS = Path(__file__).parent / "pairs"
FILES = {"en": ("en.tsv", "blind_en.tsv"), "de": ("de.tsv", "blind_de.tsv")}


def read_pairs(name: str) -> list[tuple[str, str, str]]:
    lines = (PAIRS / name).read_text("utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines if line]
    return [(row[0], row[2].replace("\\n", "\n"), row[3].replace("\\n", "\n")) for row in rows]


CASES = [(language, name) for language, names in FILES.items() for name in names]


@pytest.mark.parametrize(("language", "name"), CASES, ids=[name for _, name in CASES])
def test_every_pair_is_written_as_expected(language: str, name: str) -> None:
    formatter = open_formatter(language)
    wrong = [
        (key, got)
        for key, spoken, written in read_pairs(name)
        if (got := formatter.format(spoken).text).strip() != written.strip()
    ]
    assert wrong == []


@pytest.mark.parametrize("language", FILES)
def test_there_are_four_hundred_pairs_a_language(language: str) -> None:
    pairs = [row for name in FILES[language] for row in read_pairs(name)]
    assert len(pairs) >= 400
    assert len({key for key, _, _ in pairs}) == len(pairs)


@pytest.mark.parametrize(("language", "name"), CASES, ids=[name for _, name in CASES])
def test_written_text_is_left_as_it_is(language: str, name: str) -> None:
    formatter = open_formatter(language)
    changed = []
    for key, spoken, _ in read_pairs(name):
        once = formatter.format(spoken).text
        again = formatter.format(once).text
        if again != once:
            changed.append((key, once, again))
    assert changed == []
