"""A language pack: the commands, units, connectors, labels and headings of one language, read from ``vocab/``.

Knows nothing of how they are applied.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from medstt.errors import OptionError, VocabError
from medstt.text.english import parse_number as parse_english
from medstt.text.german import parse_number as parse_german
from medstt.text.item import Item
from medstt.values import LANGUAGES
from medstt.vocab.layers import builtin_vocab_folder

T = TypeVar("T")
NumberParser = Callable[[list[Item], int], tuple[Item, int] | None]
PARSERS: dict[str, NumberParser] = {"en": parse_english, "de": parse_german}


class Phrases(Generic[T]):
    """Phrases of one or more words and what each stands for; the longest match at a place wins."""

    def __init__(self, rows: Iterable[tuple[str, T]]) -> None:
        table: dict[str, list[tuple[tuple[str, ...], T]]] = {}
        for phrase, value in rows:
            words = tuple(phrase.split())
            table.setdefault(words[0], []).append((words, value))
        for entries in table.values():
            entries.sort(key=lambda entry: -len(entry[0]))
        self._table = table

    def match(self, items: list[Item], start: int) -> tuple[T, int] | None:
        """Return the value and the end of the longest phrase at ``start``, or None."""
        if start >= len(items):
            return None
        for words, value in self._table.get(items[start].low, ()):
            end = start + len(words)
            if end <= len(items) and all(items[start + k].low == word for k, word in enumerate(words)):
                return value, end
        return None

    def match_before(self, items: list[Item], end: int, longest: int = 4) -> T | None:
        """Return the value of the longest phrase that ends just before ``end``, or None."""
        for start in range(max(0, end - longest), end):
            found = self.match(items, start)
            if found and found[1] == end:
                return found[0]
        return None


@dataclass(frozen=True, slots=True)
class Command:
    """A spoken command and the neighbours that make it an ordinary word."""

    name: str
    kind: str
    write: str
    after: frozenset[str]
    before: frozenset[str]
    command_before: frozenset[str]
    start_before: frozenset[str]
    noun_before: frozenset[str]
    needs_later: frozenset[str]


@dataclass(frozen=True, slots=True)
class Heading:
    """A section's key, the title of the style, and how it is spoken."""

    key: str
    title: str
    spoken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """How a unit is written, and its kind: dose, measure or percent."""

    text: str
    kind: str


@dataclass(frozen=True)
class Pack:
    """Everything one language brings to the mechanism."""

    language: str
    number: NumberParser
    commands: Phrases[Command]
    units: Phrases[Unit]
    per: Phrases[str]
    case: dict[str, str]
    letters: dict[str, str]
    compare: Phrases[str]
    roman: Phrases[bool]
    stage: Phrases[bool]
    frequency: Phrases[bool]
    headings: tuple[Heading, ...]
    heading: Phrases[Heading]
    sets: dict[str, frozenset[str]]
    months: frozenset[str]
    abbreviations: frozenset[str]
    stems: dict[str, str]
    written: frozenset[str]
    spelling: re.Pattern[str] | None


def read_toml(path: Path) -> dict[str, Any]:
    """Read one TOML file; VocabError names file and line where it is malformed."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise VocabError(f"{path}: cannot be read ({error.strerror})", "Check the path and its permissions.") from error
    except UnicodeDecodeError as error:
        raise VocabError(f"{path}: not UTF-8 at byte {error.start}", "Save the file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise VocabError(f"{path}: {error}", "Correct the TOML syntax at that place.") from error


def read_rows(path: Path, columns: int) -> list[tuple[str, ...]]:
    """Read a headed TSV; VocabError names file, line and the columns expected."""
    rows: list[tuple[str, ...]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        fields = tuple(line.split("\t"))
        if len(fields) != columns or not all(fields):
            raise VocabError(
                f"{path}:{number}: {len(fields)} columns, {columns} filled columns expected",
                "Separate fields by one tab.",
            )
        if number > 1:
            rows.append(fields)
    return rows


@functools.cache
def load_pack(language: str) -> Pack:
    """Load the pack of ``en`` or ``de``; OptionError for another language, VocabError for malformed data."""
    if language not in LANGUAGES:
        raise OptionError(f"unknown language {language!r}", f"Choose one of: {', '.join(LANGUAGES)}.")
    folder = builtin_vocab_folder() / language
    data = read_toml(folder / "dictation.toml")
    units = [(row[0], Unit(row[1], row[2])) for row in read_rows(folder / "dictation_unit.tsv", 3)]
    headings = tuple(Heading(row["key"], row["title"], tuple(row["spoken"])) for row in data["heading"])
    months = tuple(data["dates"]["months"])
    case = {row[0]: row[1] for row in read_rows(folder / "dictation_case.tsv", 2)}
    stems = {row[0]: row[1] for row in read_rows(folder / "dictation_spelling.tsv", 2)}
    return Pack(
        language=language,
        number=PARSERS[language],
        commands=Phrases(_commands(data["command"])),
        units=Phrases(units),
        per=Phrases([(row[0], row[1]) for row in read_rows(folder / "dictation_per.tsv", 2)]),
        case=case,
        letters={row[0]: row[1] for row in read_rows(folder / "dictation_letter.tsv", 2)},
        compare=Phrases([(spoken, row["write"]) for row in data["compare"] for spoken in row["spoken"]]),
        roman=Phrases([(label, True) for label in data["labels"]["roman"]]),
        stage=Phrases([(label, True) for label in data["labels"]["stage"]]),
        frequency=Phrases([(phrase, True) for phrase in data["counts"]["frequency"]]),
        headings=headings,
        heading=Phrases([(spoken, heading) for heading in headings for spoken in heading.spoken]),
        sets=_sets(data),
        months=frozenset(months),
        abbreviations=frozenset(data["abbreviations"]),
        stems=stems,
        written=frozenset(case.values()),
        spelling=re.compile("|".join(map(re.escape, sorted(stems, key=len, reverse=True)))) if stems else None,
    )


def _commands(rows: list[dict[str, Any]]) -> list[tuple[str, Command]]:
    """One (phrase, command) per spoken form."""
    result = []
    for row in rows:
        contexts = {
            name: frozenset(row.get(name, ()))
            for name in ("after", "before", "command_before", "start_before", "noun_before", "needs_later")
        }
        command = Command(row["spoken"][0], row["kind"], row["write"], **contexts)
        result += [(spoken, command) for spoken in row["spoken"]]
    return result


def _sets(data: dict[str, Any]) -> dict[str, frozenset[str]]:
    """Every list of words of the file by its own name."""
    groups = [data, *(data[name] for name in ("numbers", "labels", "counts", "dates"))]
    return {
        name: frozenset(value)
        for group in groups
        for name, value in group.items()
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    }
