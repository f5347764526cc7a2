from __future__ import annotations

from pathlib import Path

import pytest
from program import SPEECH

import medstt
from medstt.errors import OptionError, UnknownModel


def test_transcribe_and_stream_give_the_same(home: Path, tiny_model: Path) -> None:
    transcript = medstt.transcribe(str(SPEECH), model=str(tiny_model), language="en")
    assert transcript.language == "en"
    streamed = list(medstt.stream(SPEECH.read_bytes(), model=str(tiny_model), language="en"))
    assert streamed == list(transcript.hypotheses)


def test_replicas_change_nothing_but_the_time(home: Path, tiny_model: Path) -> None:
    one, two = (
        medstt.open_transcriber(model=str(tiny_model), replicas=replicas).transcribe(SPEECH) for replicas in (1, 2)
    )
    assert one == two


def test_format_writes_a_report() -> None:
    assert medstt.format("take five milligrams period", "en").text == "Take 5 mg."


def test_unknown_model_and_language_are_named(home: Path, tiny_model: Path) -> None:
    with pytest.raises(UnknownModel, match="nosuch"):
        medstt.transcribe(SPEECH, model="nosuch")
    with pytest.raises(OptionError, match="'fr'"):
        medstt.transcribe(SPEECH, model=str(tiny_model), language="fr")


def test_everything_public_is_there() -> None:
    assert all(hasattr(medstt, name) for name in medstt.__all__)
