"""The spoken dictation commands of both languages, as far as the lexicon must stay clear of them.

Reads the phrases of ``dictation.toml``; knows nothing of what they do.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from medstt.errors import VocabError
from medstt.values import LANGUAGES


def dictation_commands(folder: Path) -> frozenset[str]:
    """Return the phrases under ``[[command]]`` in ``en/dictation.toml`` and ``de/dictation.toml`` of a vocabulary."""
    phrases: set[str] = set()
    for language in LANGUAGES:
        path = folder / language / "dictation.toml"
        if not path.is_file():
            continue
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8")).get("command", [])
        except tomllib.TOMLDecodeError as error:
            raise VocabError(f"{path} is malformed ({error})", "Correct it as TOML.") from error
        phrases.update(phrase for table in tables for phrase in table.get("spoken", ()))
    return frozenset(phrases)
