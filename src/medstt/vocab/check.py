"""`vocab check`: what is wrong with vocabulary tables, each finding with file and line.

Owns the rules of the tables' contents (the reader owns their form). Knows nothing of terminals.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medstt.errors import VocabError
from medstt.vocab.atc import CODE
from medstt.vocab.fold import fold
from medstt.vocab.layers import layer_files
from medstt.vocab.table import REMOVE, check_header, is_pairs, read_pairs, read_rows, read_terms
from medstt.vocab.term import MEMORY, Layer, Pair, Term

Level = Literal["error", "warning"]
Rule = Literal[
    "malformed", "duplicate", "code", "character", "source", "twin", "shredded", "command", "generic", "pair", "english"
]

ICD_CODE = re.compile(r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?\Z")
# Letters of both languages, Latin diacritics of names, Greek in units and chemistry, and what stands between them.
KNOWN_CHARACTERS = re.compile(r"[A-Za-z0-9À-ÖØ-öø-ÿŒœŠšŽžĀ-žα-ωΑ-Ω \-–'’.,;:/()\[\]+&%‰°²³µ*_^<>@#!|=]*\Z")
CLOSE_NAMES_FROM = 5  # shorter names are one letter apart too often to mean anything
SHREDDED_ABOVE = 0.6  # tokens per letter; a term above it is read nearly letter by letter


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One fault: where it is, which rule it breaks and what to do."""

    path: Path
    line: int
    rule: Rule
    message: str
    level: Level = "error"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.level}: {self.rule}: {self.message}"


@dataclass(frozen=True, slots=True)
class Row:
    """A term and where it was read."""

    path: Path
    line: int
    term: Term


def check_layers(
    layers: Sequence[Layer],
    commands: Collection[str] = (),
    count_tokens: Callable[[str], int] | None = None,
) -> list[Finding]:
    """Check all tables of some layers together and return every finding in order of file and line.

    ``commands`` are the spoken dictation commands no spoken form may equal; ``count_tokens`` counts a tokenizer's
    tokens and enables the rule on shredded terms.
    """
    findings: list[Finding] = []
    rows: list[Row] = []
    pairs: list[tuple[Path, int, Pair]] = []
    for layer in layers:
        for path in layer_files(layer):
            try:
                _read(path, layer.name, rows, pairs)
            except VocabError as error:
                findings.append(Finding(path, _line_of(path, error), "malformed", str(error)))
    findings += _duplicates(rows)
    findings += _codes(rows)
    findings += _characters(rows)
    findings += _sources(rows)
    findings += _spoken_commands(rows, {fold(command) for command in commands})
    findings += _links(rows)
    findings += _pair_names(rows, pairs)
    findings += _missing_twins(rows, pairs)
    if count_tokens is not None:
        findings += _shredded(rows, count_tokens)
    return sorted(findings)


def _read(path: Path, layer: str, rows: list[Row], pairs: list[tuple[Path, int, Pair]]) -> None:
    header, cells = read_rows(path)
    check_header(path, header)
    if is_pairs(header):
        pairs.extend((path, line, pair) for line, pair in read_pairs(path, header, cells, layer))
    else:
        rows.extend(
            Row(path, line, term)
            for line, term in read_terms(path, header, cells, layer)
            if not term.text.startswith(REMOVE)
        )


def _line_of(path: Path, error: VocabError) -> int:
    found = re.match(rf"{re.escape(str(path))}:(\d+)", error.what)
    return int(found.group(1)) if found else 1


def _duplicates(rows: Iterable[Row]) -> Iterator[Finding]:
    first: dict[tuple[str, str, str, str], Row] = {}
    for row in rows:
        term = row.term
        cased = term.text if term.kind in ("abbreviation", "unit") else fold(term.text)
        key = (term.layer, term.language, term.kind, cased)
        earlier = first.setdefault(key, row)
        if earlier is not row:
            where = f"{earlier.path.name}:{earlier.line}"
            yield Finding(row.path, row.line, "duplicate", f"{term.text!r} ({term.kind}) is already in {where}")


def _codes(rows: Iterable[Row]) -> Iterator[Finding]:
    """Ill-formed codes, and one substance or brand under different codes in two rows or languages."""
    codes: dict[tuple[str, str], Row] = {}
    for row in rows:
        term = row.term
        if not term.code or term.code.startswith("RXCUI:"):
            continue
        form = CODE if term.kind in ("drug", "brand") else ICD_CODE
        if not form.match(term.code):
            kind = "ATC" if form is CODE else "ICD-10"
            yield Finding(row.path, row.line, "code", f"{term.text!r} has {term.code!r}, which is no {kind} code")
            continue
        if term.kind != "drug":
            continue
        earlier = codes.setdefault(("drug", fold(term.en or term.text)), row)
        if earlier.term.code != term.code and earlier.term.layer == term.layer:
            yield Finding(
                row.path,
                row.line,
                "code",
                f"{term.text!r} has code {term.code}, but {earlier.path.name}:{earlier.line} has {earlier.term.code}",
            )


def _characters(rows: Iterable[Row]) -> Iterator[Finding]:
    for row in rows:
        for text in (row.term.text, *row.term.spoken, *row.term.variants, row.term.meaning):
            odd = sorted({char for char in text if not KNOWN_CHARACTERS.match(char)})
            if odd:
                names = ", ".join(f"U+{ord(char):04X} {unicodedata.name(char, 'unnamed')}" for char in odd)
                yield Finding(row.path, row.line, "character", f"{text!r} holds {names}")
            elif unicodedata.normalize("NFC", text) != text:
                yield Finding(row.path, row.line, "character", f"{text!r} is not in Unicode form NFC")
            elif text != " ".join(text.split()):
                yield Finding(row.path, row.line, "character", f"{text!r} has spaces at its ends or doubled")


def _sources(rows: Iterable[Row]) -> Iterator[Finding]:
    for row in rows:
        if not row.term.source:
            yield Finding(
                row.path,
                row.line,
                "source",
                f"{row.term.text!r} names no source; write {MEMORY!r} if unchecked",
            )


def _spoken_commands(rows: Iterable[Row], commands: Collection[str]) -> Iterator[Finding]:
    for row in rows:
        for spoken in row.term.spoken:
            if fold(spoken) in commands:
                yield Finding(
                    row.path, row.line, "command", f"{row.term.text!r} is said {spoken!r}, which is a dictation command"
                )


def _links(rows: Sequence[Row]) -> Iterator[Finding]:
    """Brands without their substance and German terms whose English term does not exist."""
    drugs = {(row.term.language, fold(name)) for row in rows if row.term.kind == "drug" for name in _names(row.term)}
    english = {(row.term.kind, fold(row.term.text)) for row in rows if row.term.language == "en"}
    for row in rows:
        term = row.term
        if term.kind == "brand" and not term.generic:
            yield Finding(row.path, row.line, "generic", f"the brand {term.text!r} names no substance")
        elif term.kind == "brand" and (term.language, fold(term.generic)) not in drugs:
            yield Finding(
                row.path, row.line, "generic", f"{term.text!r} stands for {term.generic!r}, which is in no drug table"
            )
        kind = "drug" if term.kind == "brand" else term.kind
        if term.en and (kind, fold(term.en)) not in english:
            yield Finding(
                row.path, row.line, "english", f"{term.text!r} is tied to {term.en!r}, which no English table has"
            )


def _names(term: Term) -> tuple[str, ...]:
    return (term.text, *term.variants)


def _pair_names(rows: Sequence[Row], pairs: Iterable[tuple[Path, int, Pair]]) -> Iterator[Finding]:
    known = {(row.term.language, fold(name)) for row in rows for name in _names(row.term)}
    seen: dict[tuple[str, str, frozenset[str]], int] = {}
    for path, line, pair in pairs:
        if pair.a.startswith(REMOVE):
            continue
        if not pair.source:
            yield Finding(path, line, "source", f"the pair {pair.a!r}, {pair.b!r} names no source")
        names = frozenset((fold(pair.a), fold(pair.b)))
        earlier = seen.setdefault((pair.layer, pair.language, names), line)
        if earlier != line:
            yield Finding(path, line, "duplicate", f"the pair {pair.a!r}, {pair.b!r} is already in line {earlier}")
        for name in (pair.a, pair.b):
            if (pair.language, fold(name)) not in known:
                yield Finding(path, line, "pair", f"{name!r} is in no table: it counts as held out", "warning")


def _missing_twins(rows: Sequence[Row], pairs: Iterable[tuple[Path, int, Pair]]) -> Iterator[Finding]:
    """Drug names of different substances one letter apart that no table of pairs mentions."""
    listed = {(pair.language, frozenset((fold(pair.a), fold(pair.b)))) for _, _, pair in pairs}
    by_hole: dict[tuple[str, str], list[Row]] = {}
    told: set[frozenset[str]] = set()
    for row in rows:
        name = fold(row.term.text)
        if row.term.kind not in ("drug", "brand") or len(name) < CLOSE_NAMES_FROM:
            continue
        for hole in _holes(name):
            for other in by_hole.setdefault((row.term.language, hole), []):
                close = frozenset((name, fold(other.term.text)))
                if len(close) == 1 or close in told or _substance(row.term) == _substance(other.term):
                    continue
                if (row.term.language, close) not in listed:
                    told.add(close)
                    message = f"{row.term.text!r} and {other.term.text!r} are one letter apart but no look-alike pair"
                    yield Finding(row.path, row.line, "twin", message)
            by_hole[row.term.language, hole].append(row)


def _holes(name: str) -> set[str]:
    """Names one substitution, insertion or deletion apart share one of these (a letter replaced, or left out)."""
    masked = {f"{name[:index]}?{name[index + 1 :]}" for index in range(len(name))}
    return masked | {f"{name[:index]}?{name[index:]}" for index in range(len(name) + 1)}


def _substance(term: Term) -> str:
    return fold(term.generic or term.text)


def _shredded(rows: Iterable[Row], count_tokens: Callable[[str], int]) -> Iterator[Finding]:
    for row in rows:
        if row.term.kind in ("abbreviation", "unit"):
            continue
        pieces = count_tokens(row.term.text)
        if pieces > 4 and pieces > len(row.term.text) * SHREDDED_ABOVE:
            message = f"{row.term.text!r} is {pieces} tokens for {len(row.term.text)} letters: recognition will suffer"
            yield Finding(row.path, row.line, "shredded", message, "warning")
