"""What was encoded once stays encoded: for the language, the letters and every second look at the same clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medstt.engine.checkpoint import open_checkpoint
from medstt.engine.onnx import OnnxBackend, open_onnx
from medstt.engine.protocol import Clip, DecodeOptions
from medstt.engine.whisper import WhisperEngine
from medstt.feature import Features
from medstt.values import RATE_HZ, Segment

TEXTS = ("start abacavir today", "start aspirin today and tomorrow", "stop")


class Counting:
    """A backend that counts the clips it encodes."""

    def __init__(self, backend: OnnxBackend) -> None:
        self._backend = backend
        self.encoded = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def encode(self, features: Sequence[Features]) -> Any:
        self.encoded += len(features)
        return self._backend.encode(features)


@pytest.fixture
def backend(small_folder: Path, cache: Path) -> Counting:
    return Counting(open_onnx(open_checkpoint(small_folder), cache=cache, threads=1, precision="float32"))


def engine_over(backend: Counting) -> WhisperEngine:
    return WhisperEngine(backend, "counted")  # type: ignore[arg-type]


def noise(seconds: float, seed: int) -> Clip:
    samples = (np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ)) * 0.1).astype(np.float32)
    return Clip(samples, Segment(0, int(seconds * 1000)))


def test_a_batch_is_scored_without_encoding_it_again(backend: Counting) -> None:
    engine = engine_over(backend)
    clips = [noise(seconds, number) for number, seconds in enumerate((1.0, 2.0, 1.5))]
    fresh = [engine_over(backend).score(clip, TEXTS, "en") for clip in clips]
    assert backend.encoded == 3
    engine.decode(clips, DecodeOptions("en", max_tokens=4))
    assert backend.encoded == 6
    assert [engine.score(clip, TEXTS, "en") for clip in clips] == [pytest.approx(scores, abs=1e-4) for scores in fresh]
    assert backend.encoded == 6


def test_the_clip_whose_language_was_detected_is_decoded_as_it_stands(backend: Counting) -> None:
    engine = engine_over(backend)
    clip = noise(1.0, 0)
    engine.detect(clip)
    engine.decode([clip], DecodeOptions("en", max_tokens=4))
    assert backend.encoded == 1
    engine.decode([clip], DecodeOptions("en", max_tokens=4, audio_context="full"))
    assert backend.encoded == 2  # another context is another encoding


def test_texts_that_begin_alike_score_as_each_alone(backend: Counting) -> None:
    engine = engine_over(backend)
    clip = noise(1.0, 0)
    texts = ("start abacavir", "start abacavir today", "start abacavir", "start")
    alone = [engine.score(clip, [text], "en")[0] for text in texts]
    assert engine.score(clip, texts, "en") == pytest.approx(alone, abs=1e-4)
