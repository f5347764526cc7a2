"""What a batch looks like on a terminal: a bar with files, audio minutes, speed and time left, and a last line.

Writes to stderr only, so that stdout holds nothing but text.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medstt.batch import Outcome, Progress, Recording


class BatchDisplay:
    """Counts what is done and, on a terminal, draws it. Time left is estimated from the sizes of the files."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._sizes = [_size_bytes(recording) for recording in recordings]
        self._fractions = [0.0] * len(recordings)
        self._positions_ms = [0] * len(recordings)
        self._counts = {"done": 0, "skipped": 0, "failed": 0}
        self._started_s = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> BatchDisplay:
        if sys.stderr.isatty():
            self._bar = _make_bar()
            self._task = self._bar.add_task("", total=max(1, sum(self._sizes)), **self._fields())
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def audio_min(self) -> float:
        """Minutes of audio decoded by this run."""
        return sum(self._positions_ms) / 60_000

    @property
    def speed(self) -> float:
        """Seconds of audio per second of time."""
        return self.audio_min * 60 / max(1e-3, time.monotonic() - self._started_s)

    def advance(self, progress: Progress) -> None:
        """Take in how far one recording has come."""
        self._positions_ms[progress.number] = progress.position_ms
        if progress.declared_ms:
            self._fractions[progress.number] = min(1.0, progress.position_ms / progress.declared_ms)
        self._draw()

    def finish(self, outcome: Outcome) -> None:
        """Take in that one recording is done, skipped or failed."""
        self._counts[outcome.status] += 1
        self._positions_ms[outcome.number] = outcome.audio_ms
        self._fractions[outcome.number] = 1.0
        self._draw()

    def summarise(self) -> None:
        """Print the last line."""
        counts = ", ".join(f"{count} {status}" for status, count in self._counts.items() if count) or "nothing to do"
        speed = f"; {self.audio_min:.1f} min of audio, {self.speed:.1f}x real time" if self.audio_min else ""
        print(f"{counts}{speed}", file=sys.stderr)

    def _draw(self) -> None:
        if self._bar is not None:
            completed = sum(size * part for size, part in zip(self._sizes, self._fractions, strict=True))
            self._bar.update(self._task, completed=completed, **self._fields())

    def _fields(self) -> dict[str, str]:
        ended = sum(self._counts.values())
        return {
            "files": f"{ended}/{len(self._sizes)} files",
            "audio": f"{self.audio_min:.1f} min of audio",
            "speed": f"{self.speed:.1f}x",
        }


def _size_bytes(recording: Recording) -> int:
    try:
        return recording.path.stat().st_size
    except OSError:
        return 0


def _make_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        BarColumn(),
        TextColumn("{task.fields[files]}"),
        TextColumn("{task.fields[audio]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
