"""A fresh process is timed to its first text, and many files with one engine and with two."""

from __future__ import annotations

from pathlib import Path

import pytest

from medstt.benchmark.caller import read_speech
from medstt.benchmark.process import measure_files, measure_startup

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.mark.slow
def test_a_start_and_a_few_files_are_timed() -> None:
    speech = read_speech(SAMPLES)
    found = {one.name: one.value for one in measure_startup(speech, 1) + measure_files(speech, 3)}
    assert 0 < found["medstt --help"] < found["process start to first text, 6 s clip"]
    assert found["a minute, one engine"] > 0
    ratio = found["a minute, one engine"] / found["a minute, two engines"]
    assert found["time with two engines, of that with one"] == pytest.approx(ratio)
