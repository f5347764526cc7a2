from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_set import make_set

from medstt.audio import read_audio
from medstt.errors import DataError
from medstt.feature import log_mel, scale
from medstt.manifest import read_manifest, write_manifest
from medstt.train.cache import open_cache
from medstt.values import Utterance


def test_training_and_serving_features_are_identical(tmp_path: Path) -> None:
    manifest = make_set(tmp_path, 3)
    cache = open_cache(manifest, tmp_path / "cache")
    for index, row in enumerate(cache.utterances):
        served = log_mel(read_audio(tmp_path / row.audio).samples)
        assert np.array_equal(scale(np.asarray(cache.features(index)).T), served)


def test_a_second_opening_computes_nothing(tmp_path: Path) -> None:
    manifest = make_set(tmp_path, 3)
    open_cache(manifest, tmp_path / "cache")
    for file in (tmp_path / "audio").iterdir():
        file.unlink()
    assert len(open_cache(manifest, tmp_path / "cache").utterances) == 3


def test_undecodable_audio_is_named(tmp_path: Path) -> None:
    manifest = make_set(tmp_path, 2)
    (tmp_path / "audio" / "1.wav").write_text("not a recording")
    with pytest.raises(DataError, match="u1"):
        open_cache(manifest, tmp_path / "cache")


def test_spans_of_a_long_recording_are_cut_out(tmp_path: Path) -> None:
    row = read_manifest(make_set(tmp_path, 1))[0]
    spans = [Utterance(f"s{start}", row.audio, "x", "en", start, start + 100) for start in (0, 100)]
    write_manifest(tmp_path / "spans.jsonl", spans)
    cache = open_cache(tmp_path / "spans.jsonl", tmp_path / "cache")
    assert cache.frames.tolist() == [10, 10]
