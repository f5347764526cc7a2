"""What the command line's tests share: a recording, and how a run of `medstt` ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "chest_pain.flac"


@dataclass(frozen=True)
class Result:
    """Exit code, stdout and stderr."""

    code: int
    out: str
    err: str


Medstt = Callable[..., Result]
