"""What an engine made of the last clips, found again by their very samples for as long as somebody holds these.

Knows nothing of engines or of what it keeps.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import Generic, TypeVar

from medstt.values import Samples

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Kept]):
    samples: weakref.ref[Samples]
    value: Kept
    size_bytes: int


class Recent(Generic[Kept]):
    """Values by the arrays they were made of, the newest of up to ``most_bytes``. Safe between threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: dict[int, _Entry[Kept]] = {}
        self._lock = threading.Lock()

    def put(self, samples: Samples, value: Kept, size_bytes: int) -> None:
        """Keep a value until its samples are gone or newer ones need the room; the newest is always kept."""
        key, kept = id(samples), self._kept
        # An array that goes takes its entry along before another one can have its id; no lock: that may be any moment.
        entry = _Entry(weakref.ref(samples, lambda _: kept.pop(key, None)), value, size_bytes)
        with self._lock:
            kept.pop(key, None)
            kept[key] = entry
            older = list(kept.items())
            room = self._most_bytes - sum(entry.size_bytes for _, entry in older)
            for number, entry in older[:-1]:
                if room >= 0:
                    break
                kept.pop(number, None)
                room += entry.size_bytes

    def get(self, samples: Samples) -> Kept | None:
        """Return what was kept of these very samples."""
        found = self._kept.get(id(samples))
        return found.value if found is not None and found.samples() is samples else None

    def __len__(self) -> int:
        """Return how many values are kept."""
        return len(self._kept)
