"""The output folder: results appear whole, each once, and a later run knows what is done even after a kill.

A result is written aside and synced, then entered in the ledger, then renamed into place. A kill before the entry
leaves nothing; after it, the next start finishes the renaming. Knows nothing of audio or models.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from medstt.disk import naming_disk_errors, sync_folder, write_durably
from medstt.errors import ConflictError, DataError

STATE = ".medstt"
ROOM_BYTES = 1 << 20  # with less than this left on the disk there is no use in going on


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished result: its key (recording, model, settings, name), source, output name, formats and length."""

    key: str
    source: str
    name: str
    formats: tuple[str, ...]
    audio_ms: int


class OutputFolder:
    """An output folder held by this process alone; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = path / STATE
        self._aside = self._state / "partial"
        self._ledger = self._state / "ledger.jsonl"
        self._entries: dict[str, Entry] = {}
        self._lock = FileLock(self._state / "lock", timeout=0)

    def __enter__(self) -> OutputFolder:
        with naming_disk_errors(self.path):
            self._aside.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout as error:
                raise ConflictError(
                    f"{self.path} is being written to by another run",
                    "Wait for it or choose another folder",
                ) from error
            try:
                self._read()
                self._finish_renames()
                self._sweep()
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._entries.clear()
            self._read()  # Ctrl-C may have come anywhere in a commit: what the ledger says counts, as after a kill
            self._finish_renames()
            self._sweep()
        finally:
            self._lock.release()

    @property
    def names(self) -> dict[str, str]:
        """Output name -> the recording that has it."""
        return {entry.name: entry.source for entry in self._entries.values()}

    def done(self, formats: tuple[str, ...]) -> frozenset[str]:
        """Return the keys whose results exist in all these formats (a result edited by hand counts, and is kept)."""
        return frozenset(
            entry.key
            for entry in self._entries.values()
            if set(formats) <= set(entry.formats) and all(self._target(entry.name, item).is_file() for item in formats)
        )

    def commit(self, key: str, source: str, name: str, contents: Mapping[str, bytes], audio_ms: int) -> None:
        """Make a result durable: all its formats at once, or none. Raises ResourceError."""
        before = self._entries.get(key)
        kept = [item for item in (before.formats if before else ()) if self._target(name, item).is_file()]
        entry = Entry(key, source, name, tuple(dict.fromkeys([*kept, *contents])), audio_ms)
        with naming_disk_errors(self._target(name, next(iter(contents)))):
            try:
                for item, content in contents.items():
                    self._target(name, item).parent.mkdir(parents=True, exist_ok=True)
                    write_durably(self._partial(key, item), content)
                sync_folder(self._aside)
                self._append(entry)
            except Exception:  # not Ctrl-C, after which the ledger decides
                for item in contents:
                    self._partial(key, item).unlink(missing_ok=True)
                raise
            self._entries[key] = entry
            self._rename(entry)

    def has_room(self) -> bool:
        """Tell whether the disk has room for another result."""
        return shutil.disk_usage(self.path).free >= ROOM_BYTES

    def _target(self, name: str, item: str) -> Path:
        return self.path / f"{name}.{item}"

    def _partial(self, key: str, item: str) -> Path:
        return self._aside / f"{key}.{item}"

    def _append(self, entry: Entry) -> None:
        """Add one line and sync; a line that was written in part is cut off again."""
        size_bytes = self._ledger.stat().st_size if self._ledger.exists() else 0
        try:
            with self._ledger.open("ab") as ledger:
                ledger.write((json.dumps(asdict(entry)) + "\n").encode())  # ASCII: names may be no Unicode
                ledger.flush()
                os.fsync(ledger.fileno())
        except OSError:
            if self._ledger.exists():
                os.truncate(self._ledger, size_bytes)
            raise

    def _rename(self, entry: Entry) -> None:
        for item in entry.formats:
            partial, target = self._partial(entry.key, item), self._target(entry.name, item)
            if partial.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                partial.replace(target)
                sync_folder(target.parent)

    def _read(self) -> None:
        if not self._ledger.exists():
            return
        content = self._ledger.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):  # a kill while the last line was being written: that result was not entered
            os.truncate(self._ledger, len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                entry = Entry(**{**row, "formats": tuple(row["formats"])})
            except (ValueError, TypeError, KeyError) as error:
                raise DataError(
                    f"{self._ledger}:{number}: not an entry ({error})", "Delete that line; its recording is done again"
                ) from error
            self._entries[entry.key] = entry

    def _finish_renames(self) -> None:
        for entry in self._entries.values():
            self._rename(entry)

    def _sweep(self) -> None:
        for leftover in self._aside.iterdir():
            leftover.unlink(missing_ok=True)
