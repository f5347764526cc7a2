"""Writing vocabulary tables: sorted, tab-separated, UTF-8 in NFC, empty columns left out.

Knows nothing of where the terms came from.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from medstt.errors import ResourceError
from medstt.vocab.fold import fold
from medstt.vocab.table import LIST_SEPARATOR, TERM_COLUMNS
from medstt.vocab.term import Term

_FIELDS = {"term": "text", "class": "klass"}
ALWAYS = ("term", "kind", "source")


def term_cells(term: Term) -> dict[str, str]:
    """Return a term's cells by column; tabs and line ends inside a cell become spaces."""
    cells = {}
    for column in TERM_COLUMNS:
        value = getattr(term, _FIELDS.get(column, column))
        text = LIST_SEPARATOR.join(value) if isinstance(value, tuple) else value
        cells[column] = unicodedata.normalize("NFC", " ".join(text.split()))
    return cells


def write_terms(path: Path, terms: Iterable[Term], *, with_language: bool = False) -> int:
    """Write a table and return its number of rows; the file appears whole or not at all."""
    rows = sorted(
        (term_cells(term) for term in terms),
        key=lambda row: (fold(row["term"]), row["term"], row["kind"], row["language"]),
    )
    used = [
        column
        for column in TERM_COLUMNS
        if column in ALWAYS or (any(row[column] for row in rows) and (column != "language" or with_language))
    ]
    lines = ["\t".join(used), *("\t".join(row[column] for column in used) for row in rows)]
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
        os.replace(part, path)
    except OSError as error:
        raise ResourceError(f"{path} cannot be written ({error.strerror})", "Choose another --out.") from error
    return len(rows)


def write_names(path: Path, terms: Iterable[Term]) -> int:
    """Write the names alone, one a line, sorted, each once; return their number."""
    names = sorted({unicodedata.normalize("NFC", term.text) for term in terms}, key=lambda name: (fold(name), name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8", newline="\n")
    except OSError as error:
        raise ResourceError(f"{path} cannot be written ({error.strerror})", "Choose another --out.") from error
    return len(names)
