"""Reading the vocabulary's tables: tab-separated, UTF-8, a header line, one entry a line.

Owns the columns and every complaint about a malformed row (file, line, column, what was expected). Knows nothing of
layers or search.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from medstt.errors import VocabError
from medstt.values import LANGUAGES, Language
from medstt.vocab.term import KINDS, Kind, Pair, Term

TERM_COLUMNS = (
    "term",
    "kind",
    "language",
    "en",
    "generic",
    "meaning",
    "spoken",
    "code",
    "class",
    "variants",
    "pronunciation",
    "source",
    "note",
)
PAIR_COLUMNS = ("a", "b", "reason", "source")
REMOVE = "-"  # in front of a term (or a pair's first name): a later layer takes the entry away
LIST_SEPARATOR = ";"


def read_rows(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Open a table and return its header and an iterator of (line number, cells)."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise VocabError(f"{path} does not exist", "Give the path of a vocabulary table or folder.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise VocabError(f"{path}:{line} is not UTF-8 ({error.reason})", "Save the table as UTF-8.") from error
    except OSError as error:
        raise VocabError(f"{path} cannot be read ({error.strerror})", "Check its permissions.") from error
    lines = text.split("\n")
    header = lines[0].rstrip("\r").split("\t")
    if header == [""]:
        raise VocabError(f"{path}:1 has no header line", "The first line names the columns, separated by tabs.")
    return header, _cells(path, header, lines)


def _cells(path: Path, header: list[str], lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    width = len(header)
    for number, line in enumerate(lines[1:], start=2):
        row = line.rstrip("\r")
        if not row or row.startswith("#"):
            continue
        cells = row.split("\t")
        if len(cells) != width:
            raise VocabError(
                f"{path}:{number} has {len(cells)} columns where {width} were expected ({', '.join(header)})",
                "Separate the cells by single tabs; leave empty cells empty.",
            )
        yield number, cells


def is_pairs(header: list[str]) -> bool:
    """Tell whether a header announces look-alike pairs."""
    return header[:2] == ["a", "b"]


def check_header(path: Path, header: list[str]) -> None:
    """Raise unless the header is one of a term table or of a table of pairs."""
    known = PAIR_COLUMNS if is_pairs(header) else TERM_COLUMNS
    unknown = [name for name in header if name not in known]
    if unknown or len(set(header)) != len(header):
        raise VocabError(
            f"{path}:1 has unknown or repeated columns: {', '.join(unknown) or ', '.join(header)}",
            f"Known columns are {', '.join(known)}.",
        )
    missing = [name for name in (("a", "b") if is_pairs(header) else ("term", "kind")) if name not in header]
    if missing:
        raise VocabError(f"{path}:1 lacks the column {missing[0]}", f"Known columns are {', '.join(known)}.")


def language_of(path: Path) -> Language | None:
    """Read a table's language from the folder it lies in (``en/`` or ``de/``); None elsewhere."""
    name = path.parent.name
    return name if name in LANGUAGES else None


def _split(cell: str) -> tuple[str, ...]:
    if not cell:
        return ()
    return tuple(part for part in (piece.strip() for piece in cell.split(LIST_SEPARATOR)) if part)


def read_terms(
    path: Path, header: list[str], rows: Iterator[tuple[int, list[str]]], layer: str
) -> Iterator[tuple[int, Term]]:
    """Make terms of a table's rows, each with its line number."""
    width = len(header)
    column = {name: index for index, name in enumerate(header)}
    where = [column.get(name, width) for name in TERM_COLUMNS]
    folder_language = language_of(path)
    kinds = frozenset(KINDS)
    for number, cells in rows:
        cells.append("")
        values = [cells[index] for index in where]
        text, kind, language, en, generic, meaning, spoken, code, klass, variants, sound, source, note = values
        if not text.strip() or text == REMOVE:
            raise VocabError(f"{path}:{number} column term is empty", "Write the term, or delete the line.")
        if kind not in kinds and not (text.startswith(REMOVE) and not kind):
            raise VocabError(
                f"{path}:{number} column kind is {kind!r}, expected one of {', '.join(KINDS)}", "Correct the kind."
            )
        chosen = language or folder_language
        if chosen not in LANGUAGES:
            raise VocabError(
                f"{path}:{number} column language is {language!r}, expected en or de",
                "Put the table into a folder named en or de, or add a column language.",
            )
        term = Term(
            text=text,
            kind=cast(Kind, kind),
            language=chosen,
            spoken=_split(spoken),
            code=code,
            klass=klass,
            variants=_split(variants),
            source=source,
            note=note,
            pronunciation=sound,
            en=en,
            generic=generic,
            meaning=meaning,
            layer=layer,
        )
        yield number, term


def read_pairs(
    path: Path, header: list[str], rows: Iterator[tuple[int, list[str]]], layer: str
) -> Iterator[tuple[int, Pair]]:
    """Make look-alike pairs of a table's rows, each with its line number."""
    language = language_of(path)
    if language is None:
        raise VocabError(f"{path} is a table of look-alike pairs outside en/ or de/", "Move it into en/ or de/.")
    for number, cells in rows:
        row = dict(zip(header, cells, strict=True))
        a, b = row["a"].strip(), row["b"].strip()
        if not a.lstrip(REMOVE) or not b:
            raise VocabError(f"{path}:{number} a look-alike pair needs two names", "Fill the columns a and b.")
        if a == b:
            raise VocabError(f"{path}:{number} pairs {a!r} with itself", "Name two different terms.")
        yield number, Pair(a, b, language, row.get("reason", ""), row.get("source", ""), layer)
