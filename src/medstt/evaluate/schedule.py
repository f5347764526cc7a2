"""Several runs one after the other: what each may take of the time there is, and how long what is left will take.

Knows nothing of systems or of how a run is carried out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medstt.evaluate.item import Item
from medstt.values import RATE_HZ

_HEADER_BYTES, _SAMPLE_BYTES = 44, 2  # of a WAV file as our benchmarks have them
_UNKNOWN_MS = 6000  # a clip of another form


def speech_ms(item: Item) -> int:
    """Return how long an utterance is, without decoding it: its span, else by the size of its file."""
    utterance = item.utterance
    if utterance.end_ms is not None:
        return utterance.end_ms - utterance.start_ms
    try:
        if item.audio.suffix.lower() == ".wav":
            return max(0, item.audio.stat().st_size - _HEADER_BYTES) // _SAMPLE_BYTES * 1000 // RATE_HZ
    except OSError:
        return 0  # gone: it will be a failed request
    return _UNKNOWN_MS


@dataclass(frozen=True, slots=True)
class Planned:
    """One run to come: its system and the milliseconds of speech that are still to be asked."""

    system: str
    speech_ms: int


class Schedule:
    """Shares a number of minutes out among runs, equally among those left, and learns how fast each system is."""

    def __init__(
        self, plan: Sequence[Planned], minutes: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._end = None if minutes is None else clock() + 60 * minutes
        self._asked_ms: dict[str, int] = {}
        self._took_s: dict[str, float] = {}

    def minutes_for(self, number: int) -> float | None:
        """Return how many minutes run ``number`` may take; None without a limit, negative when time is up."""
        if self._end is None:
            return None
        due = sum(planned.speech_ms > 0 for planned in self._plan[number:])
        return (self._end - self._clock()) / 60 / max(1, due)

    def learn(self, system: str, asked_ms: int, took_s: float) -> None:
        """Note that a system took so many seconds for so much speech."""
        self._asked_ms[system] = self._asked_ms.get(system, 0) + asked_ms
        self._took_s[system] = self._took_s.get(system, 0.0) + took_s

    def minutes_left(self, number: int) -> float | None:
        """Return an estimate for run ``number`` and those after it; None before anything was learnt.

        A system not met yet is taken to be as fast as the others.
        """
        known = {name: self._took_s[name] / ms for name, ms in self._asked_ms.items() if ms}
        if not known:
            return None
        usual = sum(known.values()) / len(known)
        return sum(one.speech_ms * known.get(one.system, usual) for one in self._plan[number:]) / 60
