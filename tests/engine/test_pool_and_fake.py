from __future__ import annotations

import threading

import numpy as np
import pytest

from medstt.engine import EnginePool
from medstt.engine.fake import FakeEngine, clip_digest
from medstt.engine.protocol import Clip, DecodeOptions, Engine
from medstt.engine.whisper import WhisperEngine
from medstt.values import Hypothesis, Segment

OPTIONS = DecodeOptions(language="en", max_tokens=6)


def tone(seconds: float, start_ms: int = 0) -> Clip:
    samples = np.sin(np.arange(int(16_000 * seconds)) * 0.1, dtype=np.float32) * np.float32(0.1)
    return Clip(samples, Segment(start_ms, start_ms + int(seconds * 1000)))


def test_the_fake_says_what_it_was_told() -> None:
    clip = tone(2.0, 500)
    fake = FakeEngine({clip_digest(clip.samples): "take 5 mg daily"}, otherwise="something else")
    assert isinstance(fake, Engine)
    said, other, silent = fake.decode([clip, tone(1.0), Clip(np.zeros(9, np.float32), Segment(0, 1))], OPTIONS)
    assert (said.text, other.text, silent.text) == ("take 5 mg daily", "something else", "")
    assert [word.segment for word in said.words] == [
        Segment(500, 1000), Segment(1000, 1500), Segment(1500, 2000), Segment(2000, 2500)
    ]  # fmt: skip
    high, low = fake.score(clip, ["take 5 mg daily", "take 50 mg daily"], "en")
    assert high > low
    assert fake.detect(clip) == {"en": 1.0, "de": 0.0}
    assert fake.ref.digest != FakeEngine().ref.digest == FakeEngine().ref.digest


class Meeting(FakeEngine):
    """Decodes only while another replica decodes too."""

    def __init__(self, barrier: threading.Barrier) -> None:
        super().__init__()
        self._barrier = barrier

    def decode(self, clips: list[Clip], options: DecodeOptions) -> list[Hypothesis]:  # type: ignore[override]
        self._barrier.wait(timeout=30)
        return super().decode(clips, options)


def test_replicas_work_side_by_side_on_one_call_and_keep_its_order() -> None:
    barrier = threading.Barrier(2)
    pool = EnginePool([Meeting(barrier), Meeting(barrier)])
    clips = [tone(seconds, number * 9000) for number, seconds in enumerate((1.0, 8.0, 2.0, 3.0))]
    assert [one.segment for one in pool.decode(clips, OPTIONS)] == [clip.segment for clip in clips]
    assert pool.size == 2
    assert isinstance(pool, Engine)
    pool.close()


def test_a_pool_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        EnginePool([])


def test_replicas_of_the_real_engine_agree(engine: WhisperEngine) -> None:
    pool = EnginePool([engine, engine.replicate()])
    clips = [tone(1.0), tone(0.5, 2000), tone(1.5, 3000)]
    assert [one.segment for one in pool.decode(clips, OPTIONS)] == [clip.segment for clip in clips]
    assert pool.detect(clips[0]) == engine.detect(clips[0])
    assert pool.score(clips[0], ["a"], "en") == engine.score(clips[0], ["a"], "en")
    assert pool.ref == engine.ref
    assert pool.capabilities == engine.capabilities
    pool.close()
