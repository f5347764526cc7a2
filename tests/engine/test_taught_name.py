"""Taught names with the model that ships: late in a long dictation, and each request by its own list. Slow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from medstt.engine import load_engine
from medstt.engine.bias import BiasOptions, compile_bias
from medstt.engine.protocol import Bias, Clip, DecodeOptions
from medstt.engine.whisper import WhisperEngine
from medstt.registry import resolve_model
from medstt.synth.grammar import Sentence
from medstt.synth.voice import Prosody, Speaker, Voice
from medstt.transcriber import TranscribeOptions, Transcriber
from medstt.values import RATE_HZ, Audio, Samples, Segment
from medstt.vocab import BiasPhrase

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"),
]

VOICE = Voice("espeak", "de+f2", "de")
NAME, TWIN = "Lorivantal", "Lorivandal"  # in no language and no list; what is said sounds like the first
TAUGHT = BiasOptions(boost=2.0, entry=0.25)
GERMAN = DecodeOptions("de")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> WhisperEngine:
    """The model that ships."""
    home = tmp_path_factory.mktemp("home")
    found = resolve_model("medstt-mini", home)
    return load_engine(found.path, found.name, cache=home / "engines", digest=found.digest)


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    with Speaker() as speaker:
        yield speaker


def spoken(speaker: Speaker, text: str) -> Samples:
    return speaker.speak(Sentence(text, text, "de"), VOICE, Prosody())


def whole(samples: Samples, bias: Bias | None) -> Clip:
    return Clip(samples, Segment(0, len(samples) * 1000 // RATE_HZ), bias)


def phrases(*names: str) -> list[BiasPhrase]:
    return [BiasPhrase(name, (), 1.7, "user") for name in names]


def test_a_taught_spelling_is_written_in_minute_nine(engine: WhisperEngine, speaker: Speaker) -> None:
    """Ten minutes, a sentence near the beginning of each; the name, not spelt as it sounds, is in the last one's."""
    filler = spoken(speaker, "die Patientin wurde in gutem Allgemeinzustand entlassen Punkt")
    taught = spoken(speaker, f"die Patientin erhält {NAME} einmal täglich Punkt")
    samples = np.zeros(10 * 60 * RATE_HZ, np.float32)
    for minute in range(10):
        said = taught if minute == 9 else filler
        samples[(minute * 60 + 5) * RATE_HZ :][: len(said)] = said
    bias = compile_bias(engine.tokens, phrases(TWIN, "Belatacept"), TAUGHT).bias
    heard = Transcriber(engine, TranscribeOptions(GERMAN), bias).transcribe(Audio(samples, "digest", "long"))
    (word,) = [word for word in heard.words if word.text == TWIN]
    assert 9 * 60_000 + 5000 <= word.segment.start_ms < word.segment.end_ms <= 9 * 60_000 + 12_000
    assert "Belatacept" not in heard.text
    assert TWIN not in engine.decode([whole(taught, None)], GERMAN)[0].text


def test_two_requests_in_one_batch_write_the_same_sound_as_their_own_lists_do(
    engine: WhisperEngine, speaker: Speaker
) -> None:
    samples = spoken(speaker, f"die Patientin erhält {NAME} einmal täglich Punkt")
    biases = [compile_bias(engine.tokens, phrases(name), TAUGHT).bias for name in (NAME, TWIN)]
    first, second = engine.decode([whole(samples, bias) for bias in biases], GERMAN)
    assert NAME in first.text
    assert TWIN not in first.text
    assert TWIN in second.text
    assert NAME not in second.text
    assert first.text.replace(NAME, TWIN) == second.text
