"""Which column of a table holds what: names as they are in the wild, or as the user maps them.

Knows nothing of files or audio.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rapidfuzz import process

from medstt.errors import DataError
from medstt.values import LANGUAGES, Language

# Names met in public data sets, tried in this order where the user maps nothing.
KNOWN_COLUMNS: dict[str, tuple[str, ...]] = {
    "audio": ("audio", "audio_filepath", "path", "file", "file_name", "filename", "wav"),
    "text": ("text", "sentence", "transcription", "transcript", "reference", "normalized_text"),
    "lang": ("lang", "language", "locale"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "id": ("id", "utterance_id", "segment_id"),
    "split": ("split", "subset"),
    "start": ("start_ms", "start", "offset"),
    "end": ("end_ms", "end"),
    "consent": ("consent",),
}
REQUIRED = ("audio", "text")
YES = frozenset({"1", "true", "yes", "y", "ja", "j", "x"})
SPLITS = {"train": "train", "training": "train", "dev": "dev", "valid": "dev", "validation": "dev", "eval": "dev"}


class Mapping(BaseModel):
    """Column names of the user's table; None where the known names are to be tried."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    audio: str | None = Field(None, description="path of the recording, relative to the table")
    text: str | None = Field(None, description="what was said")
    lang: str | None = Field(None, description="en or de; a region after it (en-US) is ignored")
    speaker: str | None = Field(None, description="who spoke: any name that is the same for the same person")
    id: str | None = None
    split: str | None = None
    start: str | None = Field(None, description="where the utterance starts in the recording")
    end: str | None = None
    consent: str | None = Field(None, description="whether the speaker agreed to training")
    time_unit: Literal["ms", "s"] = "ms"
    tags: dict[str, str] = Field(default={}, description="tag = column: further columns to keep as slices")


def read_mapping(path: Path | None, pairs: Sequence[str] = ()) -> Mapping:
    """Read a mapping from TOML and ``field=column`` pairs over it; raises DataError naming the wrong key."""
    values: dict[str, Any] = {}
    try:
        if path is not None:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}", "Correct the mapping") from error
    for pair in pairs:
        field, equals, column = pair.partition("=")
        if not equals or not column:
            raise DataError(f"--map {pair}: not field=column", f"Fields: {', '.join(Mapping.model_fields)}")
        if field.startswith("tags."):
            values.setdefault("tags", {})[field.removeprefix("tags.")] = column
        else:
            values[field] = column
    try:
        return Mapping.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        near = process.extractOne(key, list(Mapping.model_fields), score_cutoff=60)
        hint = f"Did you mean {near[0]!r}?" if near else f"Fields: {', '.join(Mapping.model_fields)}"
        raise DataError(f"mapping: {key}: {first['msg']}", hint) from error


def find_columns(mapping: Mapping, columns: Collection[str], where: str) -> dict[str, str]:
    """Return field -> column for a table's columns; raises DataError for a mapped or needed column that is missing."""
    found: dict[str, str] = {}
    for field, known in KNOWN_COLUMNS.items():
        wanted = getattr(mapping, field)
        if wanted is not None and wanted not in columns:
            raise DataError(f"{where}: no column {wanted!r} for {field}", f"Columns are {', '.join(columns)}")
        column = wanted or next((name for name in known if name in columns), None)
        if column is not None:
            found[field] = column
        elif field in REQUIRED:
            raise DataError(
                f"{where}: no column for {field}; columns are {', '.join(columns)}", f"Map one: --map {field}=COLUMN"
            )
    for tag, column in mapping.tags.items():
        if column not in columns:
            raise DataError(f"{where}: no column {column!r} for the tag {tag}", f"Columns are {', '.join(columns)}")
    return found


def parse_language(value: str, where: str) -> Language:
    """Return the language of "en", "en-US", "de_DE" ...; raises DataError for another one."""
    name = value.strip().lower().replace("_", "-").partition("-")[0]
    for language in LANGUAGES:
        if name == language:
            return language
    raise DataError(f"{where}: the language {value!r} is not known", f"Use {' or '.join(LANGUAGES)}, or --language")


def parse_time_ms(value: Any, unit: str, where: str) -> int | None:
    """Return a time in milliseconds, None for an empty cell; raises DataError for what is no time."""
    if value is None or str(value).strip() == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {value!r} is not a time", "Write numbers; see time_unit in the mapping") from error
    if not 0 <= number < 1e9:
        raise DataError(f"{where}: the time {value!r} is out of range", "Times are counted from the recording's start")
    return round(number * 1000) if unit == "s" else round(number)
