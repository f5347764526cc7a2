"""A model in processes of its own: the same transcripts, its errors, and what happens when a process is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

from medstt.audio import read_audio
from medstt.benchmark.model import RandomShape, write_random_model
from medstt.errors import ModelError, OptionError
from medstt.values import RATE_HZ, Audio, Hypothesis, Transcript
from medstt.vocab import Term, load_lexicon
from medstt.work.apart import ModelDied, Recognisers
from medstt.work.recognise import Wanted, open_recogniser

SAMPLE = Path(__file__).parents[2] / "samples" / "radiology-en.wav"


def speech() -> Audio:
    """Return a recording."""
    return read_audio(SAMPLE)


def ignore(hypothesis: Hypothesis, position_ms: int) -> None:
    """Listen to nothing."""


def note(told: list[Hypothesis], hypothesis: Hypothesis, position_ms: int) -> None:
    """Keep what is told."""
    told.append(hypothesis)


@pytest.fixture
def fakes(tmp_path: Path) -> Iterator[Recognisers]:
    pool = Recognisers(partial(open_recogniser, "fake", tmp_path, "fake", None, tmp_path), 2)
    yield pool
    pool.close()


def test_transcripts_are_those_of_a_model_in_this_process(tmp_path: Path) -> None:
    folder = write_random_model(tmp_path / "m", RandomShape(16, 1, 1, 1, 80, 600, 3))
    opened = partial(open_recogniser, "onnx", folder, "tiny", None, tmp_path / "cache")
    local, pool = opened(), Recognisers(opened, 1)
    try:
        assert (pool.ref, pool.capabilities) == (local.ref, local.capabilities)
        lexicon = load_lexicon("en").extended([Term("Marvexol", "drug", "en", layer="user", source="test")])
        audio = speech()
        for wanted in (Wanted("en"), Wanted("en", lexicon), Wanted("en", lexicon, ("Zentrubin",))):
            told: list[Hypothesis] = []
            theirs = pool.transcribe(audio, wanted, partial(note, told))
            assert theirs == local.transcribe(audio, wanted, ignore)
            assert tuple(told) == theirs.hypotheses
    finally:
        pool.close()


def test_recordings_are_worked_on_side_by_side_and_errors_come_back(fakes: Recognisers) -> None:
    audio = speech()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: fakes.transcribe(audio, Wanted("en"), ignore), range(6)))
    assert all(isinstance(one, Transcript) and one == found[0] for one in found)
    with pytest.raises(OptionError, match="does not understand"):
        fakes.transcribe(audio, Wanted("fr"), ignore)
    long = Audio(np.zeros(RATE_HZ * 90, np.float32), "", "quiet")
    assert fakes.transcribe(long, Wanted("en"), ignore).duration_ms == 90_000


def test_who_listens_can_end_the_work(fakes: Recognisers) -> None:
    def enough(hypothesis: Hypothesis, position_ms: int) -> None:
        raise KeyError("enough")

    for _ in range(4):
        with pytest.raises(KeyError):
            fakes.transcribe(speech(), Wanted("en"), enough)
    assert fakes.transcribe(speech(), Wanted("en"), ignore).hypotheses


def test_a_killed_process_fails_one_recording_and_is_started_again(fakes: Recognisers) -> None:
    def kill(hypothesis: Hypothesis, position_ms: int) -> None:
        for child in active_children():
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()
        killed.append(position_ms)

    killed: list[int] = []
    samples = speech().samples
    long = Audio(np.tile(samples, 40), "", "long")  # its end is not in the pipe yet when its first phrase is told
    with pytest.raises(ModelDied, match="exit code -9"):
        fakes.transcribe(long, Wanted("en"), kill)
    assert killed
    assert fakes.transcribe(speech(), Wanted("en"), ignore).hypotheses
    assert fakes.transcribe(speech(), Wanted("en"), ignore).hypotheses


def test_a_model_that_does_not_load_says_why_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        Recognisers(partial(open_recogniser, "onnx", tmp_path / "none", "none", None, tmp_path), 2)
    assert not active_children()
