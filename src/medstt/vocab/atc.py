"""Drug classes by ATC code: the project's own class names for ATC groups, longest prefix first.

Knows nothing of drugs.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

from medstt.values import Language
from medstt.vocab.table import read_rows

CODE = re.compile(r"[A-DGHJ-NPRSV](\d\d([A-Z]([A-Z](\d\d)?)?)?)?\Z")


class DrugClasses:
    """The table ``atc.tsv`` of the built-in vocabulary."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "atc.tsv"

    @cached_property
    def _names(self) -> dict[str, dict[Language, str]]:
        _, rows = read_rows(self._path)
        return {code: {"en": english, "de": german} for _, (code, english, german) in rows}

    def name(self, code: str, language: Language) -> str:
        """Return the class of an ATC code in one language, empty if the table has none."""
        for length in range(len(code), 0, -1):
            if names := self._names.get(code[:length]):
                return names[language]
        return ""
