from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medstt.evaluate.clip import write_wav
from medstt.evaluate.item import items_of
from medstt.evaluate.schedule import Planned, Schedule, speech_ms
from medstt.values import Utterance


def test_time_is_shared_among_the_runs_that_have_something_to_ask() -> None:
    now = [100.0]
    plan = [Planned("a", 60_000), Planned("b", 60_000), Planned("a", 0), Planned("b", 60_000)]
    schedule = Schedule(plan, 30, lambda: now[0])
    assert schedule.minutes_for(0) == 10
    now[0] += 4 * 60
    assert schedule.minutes_for(1) == 13
    now[0] += 30 * 60
    assert schedule.minutes_for(3) == -4
    assert Schedule(plan, None).minutes_for(0) is None


def test_what_is_left_is_estimated_from_what_was_asked() -> None:
    plan = [Planned("a", 60_000), Planned("a", 120_000), Planned("b", 60_000)]
    schedule = Schedule(plan, None)
    assert schedule.minutes_left(0) is None
    schedule.learn("a", 30_000, 15)
    assert schedule.minutes_left(0) == pytest.approx(2.0)
    assert schedule.minutes_left(2) == pytest.approx(0.5)
    schedule.learn("b", 10_000, 20)
    assert schedule.minutes_left(2) == pytest.approx(2.0)


def test_the_length_of_an_utterance_is_known_before_it_is_decoded(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(24_000, np.float32))
    rows = [
        Utterance("a", "a.wav", "x", "en"),
        Utterance("b", "a.wav", "x", "en", 200, 700),
        Utterance("c", "gone.wav", "x", "en"),
        Utterance("d", "d.mp3", "x", "en"),
    ]
    assert [speech_ms(item) for item in items_of(rows, tmp_path)] == [1500, 500, 0, 6000]
