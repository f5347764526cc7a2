"""`vocab check`: clean on the shipped tables, and each kind of planted fault found at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from medstt.vocab import Layer, builtin_vocab_folder
from medstt.vocab.check import Finding, check_layers
from medstt.vocab.command import dictation_commands

HEADER = "term\tkind\ten\tgeneric\tspoken\tcode\tsource\n"
GOOD = "metoprolol\tdrug\t\t\t\tC07AB02\tsite\n"


def check(folder: Path, rows: str, *, language: str = "en", header: str = HEADER, more: str = "") -> list[Finding]:
    path = folder / language / "planted.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + rows, encoding="utf-8")
    if more:
        (path.parent / "twins.tsv").write_text("a\tb\treason\tsource\n" + more, encoding="utf-8")
    return check_layers([Layer("site", folder)], {"new line"}, count_tokens=len)


def test_the_shipped_tables_are_clean() -> None:
    folder = builtin_vocab_folder()
    commands = dictation_commands(folder)
    assert {"period", "punkt"} <= commands
    assert check_layers([Layer("builtin", folder)], commands) == []


@pytest.mark.parametrize(
    ("row", "rule", "says"),
    [
        ("Metoprolol\tdrug\t\t\t\tC07AB02\tsite", "duplicate", "already in planted.tsv:2"),
        ("bisoprolol\tdrug\t\t\t\tC7AB07\tsite", "code", "no ATC code"),
        ("angina\tcondition\t\t\t\tAngina\tsite", "code", "no ICD-10 code"),
        ("biso\u200bprolol\tdrug\t\t\t\tC07AB07\tsite", "character", "ZERO WIDTH SPACE"),
        ("bisoprolоl\tdrug\t\t\t\tC07AB07\tsite", "character", "CYRILLIC SMALL LETTER O"),
        ("A\u0308ther\tdrug\t\t\t\tC07AB07\tsite", "character", "COMBINING DIAERESIS"),
        ("bisoprolol \tdrug\t\t\t\tC07AB07\tsite", "character", "spaces"),
        ("bisoprolol\tdrug\t\t\t\tC07AB07\t", "source", "names no source"),
        ("metoprolos\tdrug\t\t\t\tC07AB07\tsite", "twin", "one letter apart"),
        ("xylomab\tdrug\t\t\t\tC07AB07\tsite", "shredded", "tokens"),
        ("newlinol\tdrug\t\t\tNew Line\tC07AB07\tsite", "command", "dictation command"),
        ("Brandol\tbrand\t\t\t\tC07AB07\tsite", "generic", "names no substance"),
        ("Brandol\tbrand\t\tnowherol\t\tC07AB07\tsite", "generic", "in no drug table"),
        ("Zork\tdrug\tnozork\t\t\tC07AB07\tsite", "english", "no English table"),
        ("bisoprolol\tdrug", "malformed", "2 columns where 7"),
    ],
)
def test_each_planted_fault_is_found_at_its_line(tmp_path: Path, row: str, rule: str, says: str) -> None:
    found = [finding for finding in check(tmp_path, f"{GOOD}{row}\n") if finding.rule == rule]
    assert [(finding.path.name, finding.line) for finding in found][-1] == ("planted.tsv", 3)
    assert says in str(found[-1])


def test_contradictory_codes_across_languages(tmp_path: Path) -> None:
    check(tmp_path, GOOD)
    row = "Metoprolol\tdrug\tmetoprolol\t\t\tC07AB03\tsite\n"
    (finding,) = [each for each in check(tmp_path, row, language="de") if each.rule == "code"]
    assert "C07AB03" in finding.message
    assert "C07AB02" in finding.message


def test_pairs_are_checked(tmp_path: Path) -> None:
    more = "metoprolol\tnowherol\tclose\tsite\nnowherol\tmetoprolol\tclose\t\n"
    found = {(finding.rule, finding.line) for finding in check(tmp_path, GOOD, more=more)}
    assert {("pair", 2), ("duplicate", 3), ("source", 3)} <= found


def test_a_listed_pair_is_no_missing_twin(tmp_path: Path) -> None:
    rows = GOOD + "metoprolos\tdrug\t\t\t\tC07AB07\tsite\n"
    found = check(tmp_path, rows, more="metoprolol\tmetoprolos\tclose\tsite\n")
    assert "twin" not in {finding.rule for finding in found}
