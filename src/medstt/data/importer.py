"""Folders, CSV, JSON Lines and Hugging Face data sets as manifests; nothing is judged here but what cannot be read.

Knows nothing of limits or signals: a missing or damaged recording is the check's business.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from medstt.data.mapping import SPLITS, YES, Mapping, find_columns, parse_language, parse_time_ms
from medstt.disk import naming_disk_errors, write_durably
from medstt.errors import DataError, ModelUnavailable, OptionError
from medstt.manifest import iterate_objects, parse_utterance, write_manifest
from medstt.values import Language, Utterance

Format = Literal["folder", "csv", "jsonl", "huggingface"]
SOUNDS = frozenset(".wav .mp3 .m4a .mp4 .ogg .opus .webm .flac .aiff .aif .wma .amr .au .3gp .aac".split())
HUB = "hf:"
_ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a source does not say itself; ``consent`` states that everybody in it agreed to training."""

    language: Language | None = None
    speaker: str | None = None
    consent: bool = False
    mapping: Mapping = field(default_factory=Mapping)
    split: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """One row as found: cells by field, and where it stands for messages."""

    cells: dict[str, Any]
    tags: dict[str, str]
    where: str


def guess_format(source: str) -> Format:
    """Tell a source's format by its name: ``hf:owner/name``, a saved data set, a folder, .csv/.tsv or .jsonl."""
    path = Path(source)
    if source.startswith(HUB) or (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
        return "huggingface"
    if path.is_dir():
        return "folder"
    suffixes: dict[str, Format] = {
        ".csv": "csv",
        ".tsv": "csv",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".json": "jsonl",
    }
    if path.suffix.lower() in suffixes:
        return suffixes[path.suffix.lower()]
    raise OptionError(f"{source}: neither a folder nor a table", "Give a folder, .csv, .tsv, .jsonl or hf:OWNER/NAME")


def import_source(source: str, out: Path, options: ImportOptions) -> Path:
    """Write a source's utterances to ``out/manifest.jsonl`` and return it; recordings stay where they are.

    Recordings inside a Hugging Face data set are written to ``out/audio``. The same source gives the same manifest.
    Raises DataError naming the row.
    """
    readers = {"folder": _read_folder, "csv": _read_csv, "jsonl": _read_jsonl, "huggingface": _read_huggingface}
    rows = readers[guess_format(source)](source, options)
    manifest = out / "manifest.jsonl"
    with naming_disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        count = write_counted(manifest, _unique(_utterance(row, out, options) for row in rows))
    if not count:
        raise DataError(f"{source}: no recording with a text in it", "Put texts beside recordings under the same name")
    return manifest


def write_counted(path: Path, utterances: Iterable[Utterance]) -> int:
    """Write a manifest and return its number of rows; an empty one is not written."""
    rows = list(utterances)
    if rows:
        write_manifest(path, rows)
    return len(rows)


def _unique(utterances: Iterable[Utterance]) -> Iterator[Utterance]:
    seen: set[str] = set()
    for utterance in utterances:
        if utterance.id in seen:
            raise DataError(f"the id {utterance.id!r} occurs twice in the source", "Make the ids unique, or map none")
        seen.add(utterance.id)
        yield utterance


def _utterance(row: _Row, out: Path, options: ImportOptions) -> Utterance:
    cells = row.cells
    unit = options.mapping.time_unit
    audio, identity = _place_audio(cells["audio"], out, row.where)
    start_ms = parse_time_ms(cells.get("start"), unit, row.where) or 0
    end_ms = parse_time_ms(cells.get("end"), unit, row.where)
    lang = parse_language(str(cells["lang"]), row.where) if cells.get("lang") else options.language
    if lang is None:
        raise DataError(f"{row.where}: no language", "Name it with --language, or map a column: --map lang=COLUMN")
    consent = options.consent or str(cells.get("consent", "")).strip().lower() in YES
    digest = hashlib.sha256(f"{identity}/{start_ms}/{end_ms}".encode()).hexdigest()[:_ID_DIGITS]
    split = str(cells.get("split") or "train").strip().lower()
    values = {
        "id": str(cells.get("id") or digest),  # file names may hold names of patients, so ids are made of digests
        "audio": audio,
        "text": " ".join(str(cells["text"] or "").split()),
        "lang": lang,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "speaker": str(cells.get("speaker") or options.speaker or ""),
        "split": SPLITS.get(split, split),
        "tags": {**row.tags, **({"consent": "yes"} if consent else {})},
    }
    return parse_utterance(values, row.where)


def _place_audio(cell: Any, out: Path, where: str) -> tuple[str, str]:
    """Return an audio cell's path relative to ``out``, and what identifies it; bytes are written to a file."""
    if isinstance(cell, dict):  # Hugging Face's Audio(decode=False): {"bytes", "path"}
        content = cell.get("bytes")
        if content:
            digest = hashlib.sha256(content).hexdigest()
            suffix = Path(cell.get("path") or "").suffix.lower()
            path = out / "audio" / f"{digest[:24]}{suffix if suffix in SOUNDS else '.audio'}"
            path.parent.mkdir(exist_ok=True)
            if not path.exists():
                partial = path.with_suffix(".partial")
                write_durably(partial, content)
                partial.replace(path)
            return path.relative_to(out).as_posix(), digest
        cell = cell.get("path")
    if not cell:
        raise DataError(f"{where}: no recording named", "Fill the audio column")
    path = Path(str(cell))
    return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix(), path.resolve().as_posix()


def _read_folder(source: str, options: ImportOptions) -> Iterator[_Row]:
    """Yield recordings that have a .txt of the same name; the folder they lie in names the speaker."""
    root = Path(source)
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SOUNDS)
    for path in paths:
        text = path.with_suffix(".txt")
        if not text.exists():
            continue
        try:
            said = text.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{text}: not UTF-8 (byte {error.start})", "Save the texts as UTF-8") from error
        folder = path.parent.relative_to(root).as_posix()
        yield _Row({"audio": path, "text": said, "speaker": "" if folder == "." else folder}, {}, str(text))


def _read_csv(source: str, options: ImportOptions) -> Iterator[_Row]:
    path = Path(source)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            head = lines.readline()
            lines.seek(0)
            delimiter = max("\t;,|", key=head.count)
            reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
            columns = find_columns(options.mapping, list(reader.fieldnames or ()), path.name)
            for cells in reader:
                where = f"{path.name}:{reader.line_num}"
                if None in cells or None in cells.values():
                    count = len(reader.fieldnames or ())
                    raise DataError(f"{where}: not {count} columns", "Quote cells that hold the separator")
                yield _row(cells, columns, options.mapping, path.parent, where)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", "Check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start})", "Save the table as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: {error}", "Write a CSV table with a header line") from error


def _read_jsonl(source: str, options: ImportOptions) -> Iterator[_Row]:
    path = Path(source)
    for where, cells in iterate_objects(path):
        columns = find_columns(options.mapping, list(cells), where)
        yield _row(cells, columns, options.mapping, path.parent, where)


def _row(cells: dict[str, Any], columns: dict[str, str], mapping: Mapping, folder: Path, where: str) -> _Row:
    values = {name: cells.get(column) for name, column in columns.items()}
    if isinstance(values["audio"], str) and values["audio"]:
        values["audio"] = folder / values["audio"]
    tags = {tag: str(cells[column]) for tag, column in mapping.tags.items() if cells.get(column) not in (None, "")}
    return _Row(values, tags, where)


def _read_huggingface(source: str, options: ImportOptions) -> Iterator[_Row]:
    """Yield the rows of a data set on disk or on the hub, its recordings undecoded."""
    try:
        import datasets
    except ImportError as error:
        remedy = "Install the extra: pip install 'medstt[train]'"
        raise ModelUnavailable("Hugging Face data sets need the package datasets", remedy) from error

    try:
        if source.startswith(HUB):
            found = datasets.load_dataset(source.removeprefix(HUB), revision=options.revision)
        else:
            found = datasets.load_from_disk(source)
    except (OSError, ValueError) as error:
        raise DataError(f"{source}: {error}", "Check the name and the network, or save it with save_to_disk") from error
    parts = found if isinstance(found, datasets.DatasetDict) else {"": found}
    for name, part in parts.items():
        if options.split is not None and name and name != options.split:
            continue
        where = f"{source}[{name}]" if name else source
        columns = find_columns(options.mapping, part.column_names, where)
        if isinstance(part.features[columns["audio"]], datasets.Audio):
            part = part.cast_column(columns["audio"], datasets.Audio(decode=False))
        for number, cells in enumerate(part):
            row = _row(cells, columns, options.mapping, Path(source), f"{where} row {number}")
            row.cells.setdefault("split", name or "train")
            yield row
