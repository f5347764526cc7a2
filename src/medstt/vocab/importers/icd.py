"""ICD-10: the order file of ICD-10-CM (CMS) and the code table of ICD-10-GM (BfArM).

Owns both layouts. Knows nothing of what is done with the terms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from medstt.errors import VocabError
from medstt.vocab.importers.source import Progress, no_progress, read_lines
from medstt.vocab.term import Term

# Order file: number (5), blank, code (7), blank, header flag, blank, short title (60), blank, long title.
ORDER_LINE = re.compile(r"(?P<order>\d{5}) (?P<code>[A-Z]\d[0-9A-Z].{4}) (?P<leaf>[01]) (?P<short>.{60}) (?P<long>.+)")
GM_CODE = re.compile(r"[A-Z]\d\d(\.\d{1,2}|\.-|\.\d-)?[+*!]?")
GM_FIELDS = (27, 30)  # from 2009 on, by year
GM_LEVEL, GM_KIND, GM_CODE_FIELD, GM_TITLE = 0, 1, 6, 8


def dotted(code: str) -> str:
    """Write an ICD-10-CM code with its point."""
    return code if len(code) <= 3 else f"{code[:3]}.{code[3:]}"


def read_icd10cm(path: Path, progress: Progress = no_progress) -> Iterator[Term]:
    """Yield the conditions of an ICD-10-CM order file (icd10cm_order_YYYY.txt), headers included."""
    for number, line in read_lines(path, "", progress):
        if not line:
            continue
        match = ORDER_LINE.fullmatch(line)
        if match is None:
            raise VocabError(
                f"{path}:{number} is no line of an ICD-10-CM order file (order number, code, 0 or 1, titles)",
                "Import icd10cm_order_YYYY.txt; the codes file and the tabular XML have other layouts.",
            )
        yield Term(match["long"].strip(), "condition", "en", code=dotted(match["code"].strip()), source="icd10cm")


def read_icd10gm(path: Path, progress: Progress = no_progress) -> Iterator[Term]:
    """Yield the conditions of ICD-10-GM's code table (icd10gmYYYYsyst_kodes.txt, fields separated by ';')."""
    for number, line in read_lines(path, "", progress):
        if not line:
            continue
        fields = line.split(";")
        if not GM_FIELDS[0] <= len(fields) <= GM_FIELDS[1] or not GM_CODE.fullmatch(fields[GM_CODE_FIELD]):
            raise VocabError(
                f"{path}:{number} is no line of an ICD-10-GM code table ({len(fields)} fields, "
                f"{GM_FIELDS[0]} to {GM_FIELDS[1]} expected, the seventh a code)",
                "Import icd10gmYYYYsyst_kodes.txt from the metadata package (CSV), not ClaML.",
            )
        code = fields[GM_CODE_FIELD].rstrip("+*!").removesuffix("-").rstrip(".")
        yield Term(fields[GM_TITLE].strip(), "condition", "de", code=code, source="icd10gm")
