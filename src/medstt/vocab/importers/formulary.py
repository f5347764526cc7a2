"""Plain lists: an ATC index, a hospital formulary with a column mapping, a list of words.

Owns delimiters, spreadsheets and the mapping of columns. Knows nothing of what is done with the terms.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from zipfile import BadZipFile

from medstt.errors import VocabError
from medstt.values import Language
from medstt.vocab.atc import CODE, DrugClasses
from medstt.vocab.importers.source import Progress, no_progress, read_lines
from medstt.vocab.layers import builtin_vocab_folder
from medstt.vocab.term import KINDS, Kind, Term

FORMULARY_COLUMNS = ("term", "kind", "generic", "en", "code", "class", "spoken", "variants", "note")
# Headings that need no mapping, lower case.
KNOWN_HEADINGS = {
    "term": "term", "name": "term", "drug": "term", "wirkstoff": "generic", "arzneimittel": "term", "präparat": "term",
    "brand": "term", "handelsname": "term", "substance": "generic", "generic": "generic", "inn": "generic",
    "kind": "kind", "art": "kind", "atc": "code", "atc code": "code", "atc-code": "code", "code": "code",
    "class": "class", "klasse": "class", "synonyms": "variants", "synonyme": "variants", "note": "note",
    "bemerkung": "note", "spoken": "spoken", "english": "en",
}  # fmt: skip
DELIMITERS = ";\t,|"


def read_table(path: Path, encoding: str = "", progress: Progress = no_progress) -> Iterator[tuple[int, list[str]]]:
    """Yield (row number, cells) of a CSV or XLSX file, the heading row first; the delimiter is detected."""
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        yield from _read_workbook(path)
        return
    lines = read_lines(path, encoding, progress)
    try:
        first = next(lines)
    except StopIteration:
        raise VocabError(f"{path} is empty", "Give a table with a heading row.") from None
    delimiter = max(DELIMITERS, key=first[1].count)
    text = (line + "\n" for _, line in chain([first], lines))
    for number, cells in enumerate(csv.reader(text, delimiter=delimiter), start=1):
        yield number, [cell.strip() for cell in cells]


def _read_workbook(path: Path) -> Iterator[tuple[int, list[str]]]:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, BadZipFile, OSError, KeyError, ValueError) as error:
        raise VocabError(f"{path} is no readable workbook ({error})", "Save it again as XLSX or CSV.") from error
    try:
        for number, row in enumerate(book.worksheets[0].iter_rows(values_only=True), start=1):
            yield number, ["" if cell is None else str(cell).strip() for cell in row]
    finally:
        book.close()


def column_mapping(path: Path, heading: list[str], asked: Mapping[str, str]) -> dict[str, int]:
    """Find the column of each lexicon field: as asked for, else by known headings."""
    places = {name.lower(): index for index, name in enumerate(heading)}
    mapping: dict[str, int] = {}
    for field, column in asked.items():
        if field not in FORMULARY_COLUMNS:
            raise VocabError(f"{field!r} is no field of the lexicon", f"Map to one of {', '.join(FORMULARY_COLUMNS)}.")
        if column.lower() not in places:
            raise VocabError(f"{path}:1 has no column {column!r}", f"Its columns are {', '.join(heading)}.")
        mapping[field] = places[column.lower()]
    for name, index in places.items():
        field = KNOWN_HEADINGS.get(name, "")
        if field and field not in mapping and index not in mapping.values():
            mapping[field] = index
    if "term" not in mapping and "generic" in mapping:
        mapping["term"] = mapping.pop("generic")
    if "term" not in mapping:
        raise VocabError(
            f"{path}:1 no column holds the names ({', '.join(heading)})", "Name it, such as --column term=Bezeichnung."
        )
    return mapping


def read_formulary(
    path: Path,
    language: Language,
    columns: Mapping[str, str],
    kind: Kind = "drug",
    encoding: str = "",
    progress: Progress = no_progress,
) -> Iterator[Term]:
    """Yield the terms of a formulary; a row with another name as its substance is a brand.

    The class is filled from the ATC code where the table has none. Each name is yielded once.
    """
    rows = read_table(path, encoding, progress)
    _, heading = next(rows, (1, []))
    mapping = column_mapping(path, heading, columns)
    classes = DrugClasses(builtin_vocab_folder())
    seen: set[tuple[str, str]] = set()
    for number, cells in rows:
        if not any(cells):
            continue
        row = {field: cells[index] if index < len(cells) else "" for field, index in mapping.items()}
        name, generic, code = row["term"], row.get("generic", ""), row.get("code", "")
        if not name:
            raise VocabError(f"{path}:{number} the name is empty", "Fill it or delete the row.")
        row_kind = row.get("kind") or ("brand" if generic and generic.lower() != name.lower() else kind)
        if row_kind not in KINDS:
            raise VocabError(f"{path}:{number} kind is {row_kind!r}", f"Expected one of {', '.join(KINDS)}.")
        if (row_kind, name.lower()) in seen:
            continue
        seen.add((row_kind, name.lower()))
        yield Term(
            text=name,
            kind=row_kind,
            language=language,
            spoken=_list(row.get("spoken", "")),
            code=code,
            klass=row.get("class", "") or (classes.name(code, language) if CODE.match(code) else ""),
            variants=_list(row.get("variants", "")),
            source=f"formulary:{path.name}",
            note=row.get("note", ""),
            en=row.get("en", ""),
            generic=generic if row_kind == "brand" else "",
        )


def read_atc(path: Path, language: Language, encoding: str = "", progress: Progress = no_progress) -> Iterator[Term]:
    """Yield the substances (seven-character codes) of an ATC index: code and name in the first two columns."""
    seen: set[str] = set()
    found = False
    classes = DrugClasses(builtin_vocab_folder())
    for number, cells in read_table(path, encoding, progress):
        if len(cells) < 2 or not CODE.match(cells[0]):
            if number == 1 or not any(cells):
                continue
            raise VocabError(
                f"{path}:{number} does not start with an ATC code ({cells[0]!r})",
                "An ATC index has the code in the first column and the name in the second.",
            )
        found = True
        code, name = cells[0], cells[1]
        if len(code) == 7 and name and name.lower() not in seen:
            seen.add(name.lower())
            yield Term(name, "drug", language, code=code, klass=classes.name(code, language), source="atc")
    if not found:
        raise VocabError(f"{path} holds no ATC code", "Give a table with code and name in its first two columns.")


def read_words(
    path: Path, language: Language, kind: Kind, encoding: str = "", progress: Progress = no_progress
) -> Iterator[Term]:
    """Yield one term per line of a plain list; empty lines and lines starting with '#' are left out."""
    seen: set[str] = set()
    for number, line in read_lines(path, encoding, progress):
        name = line.strip().lstrip("\ufeff")
        if not name or name.startswith("#"):
            continue
        if "\t" in name:
            raise VocabError(f"{path}:{number} holds a tab", "One term a line; import tables as formulary.")
        if name not in seen:
            seen.add(name)
            yield Term(name, kind, language, source=f"list:{path.name}")


def _list(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.replace("|", ";").split(";") if part.strip())
