"""Utterances as JSON Lines: read, validate, write, filter by split, digest.

Paths of audio are relative to the manifest's folder. Knows nothing of decoding audio or of scoring.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from medstt.errors import DataError
from medstt.values import Utterance

_ROW: TypeAdapter[Utterance] = TypeAdapter(Utterance)


def parse_utterance(row: dict[str, Any], where: str) -> Utterance:
    """Validate one row; ``where`` (file:line) goes into the message of the DataError raised."""
    try:
        utterance = _ROW.validate_python(row, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "row"
        hint = "Correct the row; see `Utterance` for the fields"
        raise DataError(f"{where}: {field}: {first['msg']}", hint) from error
    if utterance.start_ms < 0 or (utterance.end_ms is not None and utterance.end_ms <= utterance.start_ms):
        times = f"{utterance.start_ms}..{utterance.end_ms} ms"
        raise DataError(f"{where}: times {times} are not a span", "Use 0 <= start < end")
    return utterance


def iterate_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file:line, object) of a JSON Lines file, empty lines apart; raises DataError naming file and line."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                where = f"{path.name}:{number}"
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    raise DataError(f"{where}: not JSON ({error.msg})", "Write one JSON object a line") from error
                if not isinstance(row, dict):
                    raise DataError(f"{where}: not a JSON object", "Write one JSON object a line")
                yield where, row
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not UTF-8 (byte {error.start})", "Save the file as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", "Check the path") from error


def iterate_manifest(path: Path) -> Iterator[Utterance]:
    """Yield the utterances of a manifest one by one; raises DataError naming file and line."""
    if not path.exists():
        raise DataError(f"{path}: no such manifest", "Check the path")
    seen: set[str] = set()
    for where, row in iterate_objects(path):
        utterance = parse_utterance(row, where)
        if utterance.id in seen:
            raise DataError(f"{where}: the id {utterance.id!r} occurs twice", "Make the ids unique")
        seen.add(utterance.id)
        yield utterance


def read_manifest(path: Path, split: str | None = None) -> list[Utterance]:
    """Return the utterances of a manifest, all or those of one split, in file order."""
    return [utterance for utterance in iterate_manifest(path) if split is None or utterance.split == split]


def write_manifest(path: Path, utterances: Iterable[Utterance]) -> None:
    """Write a manifest atomically: the old file stands until the new one is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as out:
        for utterance in utterances:
            out.write(json.dumps(asdict(utterance), ensure_ascii=False, sort_keys=True) + "\n")
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)


def digest_manifest(path: Path) -> str:
    """Return the SHA-256 of a manifest's bytes (the audio's own digests are not part of it)."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
