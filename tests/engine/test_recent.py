"""What is kept of the last clips: found by the very samples, gone with them, and never more than there is room for."""

from __future__ import annotations

import numpy as np

from medstt.engine.recent import Recent


def test_a_value_is_found_by_the_very_samples_and_not_by_equal_ones() -> None:
    recent: Recent[str] = Recent(100)
    samples = np.zeros(4, np.float32)
    recent.put(samples, "first", 10)
    assert recent.get(samples) == "first"
    assert recent.get(np.zeros(4, np.float32)) is None
    recent.put(samples, "second", 10)
    assert recent.get(samples) == "second"
    assert len(recent) == 1


def test_a_value_goes_with_its_samples() -> None:
    recent: Recent[str] = Recent(100)
    whole = np.zeros(8, np.float32)
    piece = whole[2:6]
    recent.put(piece, "piece", 10)
    assert recent.get(whole[2:6]) is None  # another view of the same memory
    del piece
    assert len(recent) == 0


def test_the_oldest_go_when_room_is_short_but_never_the_newest() -> None:
    recent: Recent[int] = Recent(100)
    clips = [np.zeros(4, np.float32) for _ in range(4)]
    for number, clip in enumerate(clips[:3]):
        recent.put(clip, number, 40)
    assert [recent.get(clip) for clip in clips] == [None, 1, 2, None]
    recent.put(clips[3], 3, 1000)
    assert [recent.get(clip) for clip in clips] == [None, None, None, 3]
