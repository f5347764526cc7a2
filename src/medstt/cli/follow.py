"""What a training run looks like on a terminal: a bar with step, loss, dev score and time left, fed by the run's log.

The log is followed as a file, because a run's steps may happen in other processes. Writes to stderr only.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

POLL_S = 0.3


def no_report(row: dict[str, float]) -> None:
    """Take a report and leave the showing of it to who follows the log (picklable, for other processes)."""


class RunDisplay:
    """Follows one run's ``log.jsonl`` from where it ends now; draws on a terminal, prints rows elsewhere."""

    def __init__(self, log: Path, steps: int) -> None:
        self._log, self._steps = log, steps
        self._offset = log.stat().st_size if log.exists() else 0
        self._anchor: tuple[float, int] | None = None  # time and step of the first report
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._bar: Any = None
        self._task: Any = None
        self.fields = {"loss": "preparing", "dev": "", "left": ""}

    def __enter__(self) -> RunDisplay:
        if sys.stderr.isatty():
            self._bar = _make_bar()
            self._task = self._bar.add_task("", total=self._steps, **self.fields)
            self._bar.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._bar is not None:
            self._bar.stop()

    def _follow(self) -> None:
        while not self._ended.wait(POLL_S):
            self._read()
        self._read()

    def _read(self) -> None:
        if not self._log.exists():
            return
        with self._log.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    break  # being written
                self._offset += len(line)
                self.take(json.loads(line), time.monotonic())

    def take(self, row: dict[str, float], now: float) -> None:
        """Show one report that came at ``now`` (seconds of any clock)."""
        step = int(row["step"])
        if "loss" in row:
            self.fields["loss"] = f"loss {row['loss']:.3g}"
        if "dev score" in row:
            self.fields["dev"] = f"dev {row['dev score']:.3g}"
        self._anchor = self._anchor or (now, step)
        since, first = self._anchor
        if step > first:
            self.fields["left"] = f"{_spell((self._steps - step) * (now - since) / (step - first))} left"
        elif "seconds_per_step" in row:
            self.fields["left"] = f"{_spell((self._steps - step) * row['seconds_per_step'])} left"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, **self.fields)
        else:
            print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), file=sys.stderr, flush=True)


def _spell(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _make_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[dev]}"),
        TextColumn("{task.fields[left]}"),
        console=Console(stderr=True),
    )
