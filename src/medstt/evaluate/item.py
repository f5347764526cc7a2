"""What is to be evaluated: utterances with their references, in one order, under one key each.

Knows nothing of systems or scores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from medstt.disk import digest_file
from medstt.errors import DataError
from medstt.evaluate.system import Request
from medstt.manifest import parse_utterance, read_manifest
from medstt.values import Utterance


@dataclass(frozen=True, slots=True)
class Item:
    """One utterance of a set, with the absolute path of its audio. ``key`` is unique within a run."""

    key: str
    set_name: str
    audio: Path
    utterance: Utterance

    @property
    def request(self) -> Request:
        """The part of an item that a system may see."""
        u = self.utterance
        return Request(self.key, self.audio, u.lang, u.start_ms, u.end_ms)


def read_items(path: Path, set_name: str = "", split: str | None = None) -> list[Item]:
    """Read one manifest as items; raises DataError if it has no utterance (of that split)."""
    utterances = read_manifest(path, split)
    if not utterances:
        which = f" of split {split!r}" if split else ""
        raise DataError(f"{path}: no utterance{which} to evaluate", "Check the manifest and --split")
    return items_of(utterances, path.parent, set_name)


def items_of(utterances: Iterable[Utterance], folder: Path, set_name: str = "") -> list[Item]:
    """Return utterances as items; audio paths are relative to ``folder``."""
    base = folder.resolve()
    return [Item(f"{set_name}:{u.id}" if set_name else u.id, set_name, base / u.audio, u) for u in utterances]


def digest_items(items: Sequence[Item]) -> str:
    """Return the SHA-256 of keys, texts, languages and spans; where the audio lies does not matter."""
    digest = hashlib.sha256()
    for item in items:
        row = asdict(item.utterance)
        row["tags"] = dict(sorted(item.utterance.tags.items()))
        digest.update(json.dumps([item.key, row], sort_keys=True, ensure_ascii=False).encode())
    return digest.hexdigest()


def digest_sound(items: Sequence[Item]) -> str | None:
    """Return the SHA-256 over the audio files of items, in order; None if one is not there."""
    digest = hashlib.sha256()
    last: Path | None = None
    for item in items:
        if item.audio == last:  # spans of one long recording
            continue
        last = item.audio
        try:
            digest.update(digest_file(item.audio).encode())
        except OSError:
            return None
    return digest.hexdigest()


def sample_items(items: Sequence[Item], count: int, seed: int = 0) -> list[Item]:
    """Return ``count`` items chosen by the checksum of their keys: every system gets the same ones, in file order."""
    if count >= len(items):
        return list(items)
    ranked = sorted(items, key=lambda item: hashlib.sha256(f"{seed}/{item.key}".encode()).digest())
    chosen = {item.key for item in ranked[:count]}
    return [item for item in items if item.key in chosen]


def encode_items(items: Iterable[Item]) -> Iterator[str]:
    """Yield one JSON line per item."""
    for item in items:
        row = {"key": item.key, "set": item.set_name, "audio": str(item.audio), "utterance": asdict(item.utterance)}
        yield json.dumps(row, ensure_ascii=False, sort_keys=True)


def decode_items(path: Path) -> list[Item]:
    """Read the items that a run recorded; raises DataError naming the line that is damaged."""
    items = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            utterance = parse_utterance(row["utterance"], f"{path.name}:{number}")
            items.append(Item(row["key"], row["set"], Path(row["audio"]), utterance))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(f"{path.name}:{number}: damaged ({error})", "Evaluate again into a new folder") from error
    return items
