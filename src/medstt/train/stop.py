"""When to stop early: the dev scores of a run so far, read from its log, and how long none was better.

The log is the only memory, so a run that was killed stops where an unbroken one would have. Knows nothing of models.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEV_SCORE = "dev score"  # of a report: word and term errors, weighted over the dev sets; lower is better


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the reports of a run; a last line cut off by a kill is left out."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


@dataclass(slots=True)
class EarlyStop:
    """The best score and how many came after it; ``patience`` 0 never stops."""

    patience: int
    best: float = math.inf
    best_step: int = 0
    last_step: int = 0
    worse: int = 0

    def take(self, step: int, score: float) -> bool:
        """Take in a score; true if it is the best so far."""
        self.last_step = step
        if score < self.best:
            self.best, self.best_step, self.worse = score, step, 0
            return True
        self.worse += 1
        return False

    @property
    def stopped(self) -> bool:
        """Whether training should end."""
        return 0 < self.patience <= self.worse


def resume_stop(patience: int, log: Path, step: int) -> EarlyStop:
    """Return the state at a checkpoint's step; what was logged after it will be done again and does not count."""
    rows = ((int(row["step"]), row[DEV_SCORE]) for row in read_log(log) if DEV_SCORE in row)
    scores = {at: float(score) for at, score in rows if at <= step}
    stop = EarlyStop(patience)
    for at in sorted(scores):
        stop.take(at, scores[at])
    return stop
