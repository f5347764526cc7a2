"""RxNorm's RXNCONSO.RRF: US drug and brand names.

Owns the column layout of the release (18 fields, each closed by a bar). Knows nothing of what is done with the terms.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medstt.errors import VocabError
from medstt.vocab.importers.source import Progress, no_progress, read_lines
from medstt.vocab.term import Kind, Term

FIELDS = 18  # RXCUI LAT TS LUI STT SUI ISPREF RXAUI SAUI SCUI SDUI SAB TTY CODE STR SRL SUPPRESS CVF
RXCUI, LAT, SAB, TTY, STR, SUPPRESS = 0, 1, 11, 12, 14, 16
KINDS: dict[str, Kind] = {"IN": "drug", "PIN": "drug", "MIN": "drug", "BN": "brand"}
TERM_TYPES = frozenset({"IN", "PIN", "MIN", "BN"})


def read_rxnconso(path: Path, progress: Progress = no_progress) -> Iterator[Term]:
    """Yield ingredients and brand names of RxNorm's own vocabulary, English, not suppressed, each name once.

    Raises VocabError for a file of another layout (UMLS' MRCONSO has the same number of fields but other sources).
    """
    seen: set[tuple[str, str]] = set()
    rxnorm_rows = 0
    for number, line in read_lines(path, "utf-8", progress):
        fields = line.split("|")
        if len(fields) != FIELDS + 1 or fields[FIELDS]:
            raise VocabError(
                f"{path}:{number} has {len(fields) - 1} fields where RXNCONSO.RRF has {FIELDS}, each closed by '|'",
                "Import rrf/RXNCONSO.RRF of a current RxNorm full release.",
            )
        if number == 1 and not fields[RXCUI].isdigit():
            raise VocabError(
                f"{path}:1 starts with {fields[RXCUI]!r}, not with a numeric RXCUI",
                "This looks like UMLS' MRCONSO.RRF; import RXNCONSO.RRF of an RxNorm release.",
            )
        if fields[SAB] != "RXNORM":
            continue
        rxnorm_rows += 1
        if fields[TTY] not in TERM_TYPES or fields[LAT] != "ENG" or fields[SUPPRESS] not in ("N", ""):
            continue
        kind, name = KINDS[fields[TTY]], fields[STR].strip()
        if not name or (kind, name.lower()) in seen:
            continue
        seen.add((kind, name.lower()))
        yield Term(name, kind, "en", code=f"RXCUI:{fields[RXCUI]}", source="rxnorm")
    if not rxnorm_rows:
        raise VocabError(f"{path} holds no rows of source RXNORM", "Import RXNCONSO.RRF of an RxNorm release.")
