"""Public sets in the layout of Hugging Face datasets on disk, by one column mapping in TOML. Nothing is downloaded.

Owns the mapping's form. Knows nothing of scoring.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medstt.disk import write_atomically
from medstt.errors import DataError, ModelUnavailable
from medstt.manifest import write_manifest
from medstt.values import Language, Utterance


class ColumnMapping(BaseModel):
    """Which column is what. ``source`` and ``licence`` are for the report."""

    model_config = ConfigDict(extra="forbid")

    name: str
    language: Language
    split: str = "test"
    audio: str = "audio"
    text: str = "text"
    id: str | None = None
    speaker: str | None = None
    tier: str
    tags: dict[str, str] = Field(default={}, description="tag -> column")
    source: str = ""
    licence: str = ""


def read_mapping(path: Path) -> ColumnMapping:
    """Read a column mapping; raises DataError naming the key that is wrong."""
    try:
        return ColumnMapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}", "Correct the mapping") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{path.name}: {first['loc'][0]}: {first['msg']}", "Correct the mapping") from error


def import_dataset(mapping: ColumnMapping, source: Path, out: Path) -> Path:
    """Write a set as a manifest with its audio files in ``out`` and return the manifest's path.

    ``source`` is a folder that ``datasets`` reads: Parquet shards, an audio folder with metadata, or ``save_to_disk``.
    Raises DataError for a missing column, ModelUnavailable without the package datasets.
    """
    (out / "audio").mkdir(parents=True, exist_ok=True)
    manifest = out / "manifest.jsonl"
    write_manifest(manifest, _utterances(mapping, _rows(mapping, source), out))
    about = {"name": mapping.name, "source": mapping.source, "licence": mapping.licence, "split": mapping.split}
    write_atomically(out / "source.json", json.dumps(about, indent=1) + "\n")
    return manifest


def _rows(mapping: ColumnMapping, source: Path) -> Iterator[Mapping[str, Any]]:
    try:
        import datasets
    except ImportError as error:
        raise ModelUnavailable("reading public sets needs the package datasets", "Install medstt[train]") from error
    if (source / "dataset_info.json").is_file() or (source / "dataset_dict.json").is_file():
        loaded = datasets.load_from_disk(str(source))
        rows = loaded[mapping.split] if isinstance(loaded, datasets.DatasetDict) else loaded
    else:
        rows = datasets.load_dataset(str(source), split=mapping.split)
    wanted = [mapping.audio, mapping.text, mapping.id, mapping.speaker, *mapping.tags.values()]
    missing = [column for column in wanted if column is not None and column not in rows.column_names]
    if missing:
        raise DataError(f"{source.name} has no column {missing[0]!r}", f"Its columns: {', '.join(rows.column_names)}")
    return iter(rows.cast_column(mapping.audio, datasets.Audio(decode=False)))


def _utterances(mapping: ColumnMapping, rows: Iterator[Mapping[str, Any]], out: Path) -> Iterator[Utterance]:
    for number, row in enumerate(rows):
        audio = row[mapping.audio]
        suffix = Path(audio.get("path") or "x.wav").suffix or ".wav"
        file = f"audio/{number:06d}{suffix}"
        content = audio["bytes"] if audio.get("bytes") is not None else Path(audio["path"]).read_bytes()
        (out / file).write_bytes(content)
        tags = {"tier": mapping.tier} | {tag: str(row[column]) for tag, column in mapping.tags.items()}
        yield Utterance(
            str(row[mapping.id]) if mapping.id else f"{mapping.name}-{number:06d}", file, str(row[mapping.text] or ""),
            mapping.language, speaker=str(row[mapping.speaker]) if mapping.speaker else "", split="test", tags=tags,
        )  # fmt: skip
