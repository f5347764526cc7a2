"""Public sets as they are published, from a folder the user gives: Parquet shards, tables, LibriSpeech, TextGrids.

Owns the mapping of columns. Nothing is downloaded. Knows nothing of scoring.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from medstt.disk import naming_disk_errors, write_atomically
from medstt.errors import DataError, ModelUnavailable
from medstt.evaluate.item import Item, items_of, read_items
from medstt.evaluate.primock import read_primock
from medstt.manifest import write_manifest
from medstt.values import Language, Utterance

_BATCH = 64  # rows of a shard in memory at a time


class PublicSet(BaseModel):
    """How a public set is laid out, and which column is what. ``source`` and ``licence`` are for the reader.

    Of several column names the first that is there counts.
    """

    model_config = ConfigDict(extra="forbid")

    layout: Literal["parquet", "table", "librispeech", "textgrid"]
    language: Language
    tier: str
    source: str
    licence: str = ""
    files: str = Field("**/*test*.parquet", description="parquet: the shards; table: the table's name")
    clips: str = Field("", description="table: the folder of the recordings, beside the table")
    audio: str = "audio"
    text: list[str] = ["text"]
    id: str | None = None
    speaker: list[str] = []
    tags: dict[str, str] = Field(default={}, description="tag -> column; one that is missing is left out")


def read_public(public: PublicSet, name: str, source: Path, work: Path) -> list[Item]:
    """Return the utterances of a public set in ``source``; recordings inside shards are written to ``work``.

    Raises DataError naming file and column, ModelUnavailable without the package pyarrow.
    """
    if not source.is_dir():
        raise DataError(f"{source}: no such folder", f"Give the folder of the set, see {public.source}")
    if public.layout == "parquet":
        return read_items(_unpack(public, name, source, work), name)
    readers = {"table": _read_table, "librispeech": _read_librispeech}
    utterances = read_primock(source) if public.layout == "textgrid" else list(readers[public.layout](public, source))
    if not utterances:
        raise DataError(f"{source}: no utterance in it", f"Give the folder of the set, see {public.source}")
    return items_of(utterances, source, name)


def _unpack(public: PublicSet, name: str, source: Path, work: Path) -> Path:
    """Write the rows of Parquet shards as a manifest with audio files, once for the same shards."""
    shards = sorted(source.glob(public.files))
    if not shards:
        raise DataError(f"{source}: no {public.files}", f"Give the folder of the set, see {public.source}")
    stamp = json.dumps([[path.relative_to(source).as_posix(), path.stat().st_size] for path in shards])
    about, manifest = work / "shards.json", work / "manifest.jsonl"
    if manifest.exists() and about.exists() and about.read_text() == stamp:
        return manifest
    with naming_disk_errors(work):
        (work / "audio").mkdir(parents=True, exist_ok=True)
        write_manifest(manifest, _unpacked(public, name, shards, work))
    write_atomically(about, stamp)
    return manifest


def _unpacked(public: PublicSet, name: str, shards: Sequence[Path], work: Path) -> Iterator[Utterance]:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ModelUnavailable("reading Parquet needs the package pyarrow", "Install medstt[train]") from error
    number = 0
    for shard in shards:
        try:
            file = ParquetFile(shard)
        except ArrowInvalid as error:
            raise DataError(f"{shard.name}: not Parquet ({error})", "Fetch the shard again") from error
        columns = _columns(public, file.schema_arrow.names, shard.name)
        for batch in file.iter_batches(_BATCH):
            for row in batch.to_pylist():
                audio = _write_audio(row[public.audio], shard, work / "audio", number)
                yield _utterance(public, columns, row, f"{name}-{number:06d}", audio)
                number += 1


def _write_audio(cell: Any, shard: Path, folder: Path, number: int) -> str:
    """Write one recording as the ``datasets`` package stores it ({bytes, path}) and return its relative path."""
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        raise DataError(f"{shard.name}: row {number} holds no recording", "Take the shards with audio in them")
    suffix = Path((cell.get("path") if isinstance(cell, dict) else None) or "x.wav").suffix or ".wav"
    path = folder / f"{number:06d}{suffix}"
    path.write_bytes(content)
    return f"audio/{path.name}"


def _read_table(public: PublicSet, source: Path) -> Iterator[Utterance]:
    """Read Common Voice's table: tabs, a header, no quoting."""
    path = source / public.files
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns = _columns(public, list(reader.fieldnames or ()), path.name)
            for row in reader:
                if None in row or None in row.values():
                    raise DataError(f"{path.name}:{reader.line_num}: columns are missing", "Fetch the table again")
                file = row[public.audio]
                yield _utterance(public, columns, row, Path(file).stem, (Path(public.clips) / file).as_posix())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", "Give the folder that holds the table") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not UTF-8 (byte {error.start})", "Fetch the table again") from error


def _read_librispeech(public: PublicSet, source: Path) -> Iterator[Utterance]:
    """Read SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt with its .flac files beside it."""
    for path in sorted(source.glob("*/*/*.trans.txt")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            name, _, text = line.partition(" ")
            if not name or not text.strip():
                raise DataError(f"{path.name}:{number}: not an id and a text", "Fetch the file again")
            audio = (path.parent / f"{name}.flac").relative_to(source).as_posix()
            yield Utterance(
                name, audio, text, public.language, speaker=name.partition("-")[0], split="test",
                tags={"tier": public.tier},
            )  # fmt: skip


def _columns(public: PublicSet, found: Sequence[str], where: str) -> dict[str, str]:
    """Return which column holds what; raises DataError naming those that are there."""
    columns = {"text": next((name for name in public.text if name in found), "")}
    needed = [public.audio, *([public.id] if public.id else [])]
    missing = [name for name in needed if name not in found]
    if missing or not columns["text"]:
        wanted = missing[0] if missing else " or ".join(public.text)
        raise DataError(
            f"{where}: no column {wanted!r}; its columns are {', '.join(found)}", "Correct the benchmark's set"
        )
    speaker = next((name for name in public.speaker if name in found), "")
    tags = {tag: column for tag, column in public.tags.items() if column in found}
    return columns | {"speaker": speaker} | {f"tag {tag}": column for tag, column in tags.items()}


def _utterance(
    public: PublicSet, columns: Mapping[str, str], row: Mapping[str, Any], name: str, audio: str
) -> Utterance:
    tags = {key.removeprefix("tag "): str(row[column]) for key, column in columns.items() if key.startswith("tag ")}
    return Utterance(
        str(row[public.id]) if public.id else name, audio, " ".join(str(row[columns["text"]] or "").split()),
        public.language, speaker=str(row[columns["speaker"]]) if columns["speaker"] else "", split="test",
        tags={"tier": public.tier} | {tag: value for tag, value in tags.items() if value},
    )  # fmt: skip
