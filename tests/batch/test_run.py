from __future__ import annotations

import os
import signal
import wave
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from medstt.audio import read_audio
from medstt.batch import Outcome, Progress, WriteOptions, find_recordings, run_batch
from medstt.batch.folder import OutputFolder
from medstt.engine.fake import FakeEngine
from medstt.engine.protocol import Clip, DecodeOptions
from medstt.errors import ModelError
from medstt.transcriber import Transcriber
from medstt.values import Hypothesis

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "chest_pain.flac"
LOUD = 0.9


class FragileEngine(FakeEngine):
    """Dies, or raises, when it hears something loud."""

    def __init__(self, deadly: bool) -> None:
        super().__init__()
        self._deadly = deadly

    def decode(self, clips: Sequence[Clip], options: DecodeOptions) -> list[Hypothesis]:
        if any(np.abs(clip.samples).max() > LOUD for clip in clips):
            if self._deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("too loud")
        return super().decode(clips, options)


def open_fragile(deadly: bool, replicas: int) -> Transcriber:
    return Transcriber(FragileEngine(deadly))


def open_nothing(replicas: int) -> Transcriber:
    raise ModelError("no model here", "Get one")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four recordings; b is loud."""
    samples = read_audio(SPEECH).samples
    samples = samples / np.abs(samples).max()
    for name, gain in {"a": 0.5, "b": 0.97, "c": 0.4, "d": 0.3}.items():
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(16_000)
            out.writeframes((samples * gain * 32767).astype("<i2").tobytes())
    return tmp_path


@pytest.mark.parametrize(("deadly", "jobs", "reason"), [(True, 2, "exit code -9"), (False, 1, "too loud")])
def test_what_goes_wrong_with_one_recording_costs_only_that(
    folder: Path, tmp_path: Path, deadly: bool, jobs: int, reason: str
) -> None:
    recordings, _ = find_recordings([str(folder)])
    with OutputFolder(tmp_path / "out") as out:
        events = list(run_batch(recordings, partial(open_fragile, deadly), WriteOptions(), out, jobs))
    outcomes = {event.recording.place.name: event for event in events if isinstance(event, Outcome)}
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "a.wav": "done", "b.wav": "failed", "c.wav": "done", "d.wav": "done",
    }  # fmt: skip
    assert reason in outcomes["b.wav"].error
    assert any(isinstance(event, Progress) for event in events)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.txt")) == ["a.txt", "c.txt", "d.txt"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_that_vanishes_before_its_turn_is_named_and_the_others_are_done(
    folder: Path, tmp_path: Path, jobs: int
) -> None:
    recordings, _ = find_recordings([str(folder)])
    (folder / "b.wav").unlink()
    with OutputFolder(tmp_path / "out") as out:
        events = list(run_batch(recordings, partial(open_fragile, False), WriteOptions(), out, jobs))
    (failed,) = [event for event in events if isinstance(event, Outcome) and event.status == "failed"]
    assert "b.wav: cannot be read (No such file or directory)" in failed.error
    assert sorted(path.name for path in (tmp_path / "out").glob("*.txt")) == ["a.txt", "c.txt", "d.txt"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_model_that_cannot_be_loaded_ends_the_run(folder: Path, jobs: int) -> None:
    recordings, _ = find_recordings([str(folder)])
    with pytest.raises(ModelError, match=r"no model here\. Get one"):
        list(run_batch(recordings, open_nothing, WriteOptions(), None, jobs))


def test_words_become_a_report_unless_verbatim_ones_are_wanted(folder: Path) -> None:
    recordings, _ = find_recordings([str(folder / "a.wav")])
    texts = []
    for verbatim in (False, True):
        events = run_batch(recordings, partial(open_fragile, False), WriteOptions(verbatim=verbatim))
        (outcome,) = [event for event in events if isinstance(event, Outcome)]
        texts.append(outcome.contents["txt"].decode())
    assert texts[0].startswith("The patient is well")
    assert texts[1].startswith("the patient is well")
