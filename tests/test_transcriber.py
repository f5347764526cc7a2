from __future__ import annotations

import io
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from medstt.audio import read_audio
from medstt.engine.fake import FakeEngine
from medstt.engine.protocol import Capabilities, Clip, DecodeOptions
from medstt.errors import EmptyAudio, OptionError
from medstt.transcriber import NO_SPEECH, Policy, TranscribeOptions, Transcriber
from medstt.values import Audio, Hypothesis, ModelRef, Samples, Segment, Word

SPEECH = read_audio(Path(__file__).parent / "data" / "speech" / "chest_pain.flac").samples  # flite, 6.4 s


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * 16_000), np.float32)


def audio(*parts: Samples) -> Audio:
    return Audio(np.concatenate(parts), "digest", "test")


THREE = audio(silence(0.5), SPEECH, silence(2), SPEECH, silence(2), SPEECH, silence(1))


@dataclass
class Listener:
    """An engine that records what it is asked and answers by language."""

    chances: Sequence[Mapping[str, float]] = ()
    logprobs: Mapping[str, float] = field(default_factory=lambda: {"en": -0.2, "de": -0.2})
    words: int = 4
    warnings: tuple[str, ...] = ()
    batches: list[int] = field(default_factory=list)
    languages: list[str | None] = field(default_factory=list)
    detected: int = 0
    ref: ModelRef = field(default_factory=lambda: ModelRef("listener", "0" * 64))
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(False, False, True, False, ("en", "de"), "dynamic")
    )

    def detect(self, clip: Clip) -> Mapping[str, float]:
        self.detected += 1
        return self.chances[min(self.detected, len(self.chances)) - 1]

    def decode(self, clips: Sequence[Clip], options: DecodeOptions) -> list[Hypothesis]:
        assert options.language is not None
        self.batches.append(len(clips))
        self.languages.append(options.language)
        return [self.hear(clip.segment, options.language) for clip in clips]

    def hear(self, segment: Segment, language: str) -> Hypothesis:
        words = tuple(Word("word", Segment(segment.start_ms, segment.start_ms + 1), 0.5) for _ in range(self.words))
        return Hypothesis(segment, words, self.logprobs[language], 0.0, language, (), self.warnings)

    def score(self, clip: Clip, texts: Sequence[str], language: str) -> list[float]:
        raise NotImplementedError


def english() -> TranscribeOptions:
    return TranscribeOptions(DecodeOptions(language="en"))


def test_segments_come_in_order_and_cover_the_voice() -> None:
    transcript = Transcriber(FakeEngine(), english()).transcribe(THREE)
    starts = [hypothesis.segment.start_ms for hypothesis in transcript.hypotheses]
    assert starts == sorted(starts)
    assert sum(hypothesis.segment.duration_ms for hypothesis in transcript.hypotheses) >= 18_000
    assert transcript.text.startswith("the patient is well")
    assert (transcript.language, transcript.duration_ms, transcript.audio_digest) == ("en", 24_610, "digest")


def test_bytes_file_and_open_file_give_the_same_transcript(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes((THREE.samples * 32767).astype("<i2").tobytes())
    path = tmp_path / "a.wav"
    path.write_bytes(buffer.getvalue())
    transcriber = Transcriber(FakeEngine(), english())
    with path.open("rb") as handle:
        transcripts = [transcriber.transcribe(source, "a") for source in (path, buffer.getvalue(), handle)]
    assert transcripts[0] == transcripts[1] == transcripts[2]
    assert list(transcriber.stream(path)) == list(transcripts[0].hypotheses)


def test_silence_is_an_empty_transcript_with_a_warning() -> None:
    transcript = Transcriber(FakeEngine()).transcribe(audio(silence(3)))
    assert transcript.text == ""
    assert transcript.language == "und"
    assert transcript.warnings == (NO_SPEECH,)


def test_a_recording_without_samples_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    with pytest.raises(EmptyAudio, match=r"empty\.wav"):
        Transcriber(FakeEngine()).transcribe(tmp_path / "empty.wav")


def test_text_comes_before_the_recording_has_been_read() -> None:
    engine = Listener()
    with Transcriber(engine, english()).open(THREE) as transcription:
        first = next(iter(transcription))
        assert (engine.batches, transcription.position_ms) == ([1], first.segment.end_ms)
        with pytest.raises(ValueError, match="complete after"):
            transcription.transcript()


def test_batches_grow() -> None:
    engine = Listener()
    Transcriber(engine, english()).transcribe(audio(*[SPEECH, silence(2)] * 4))
    assert engine.batches == [1, 2, 1]


def test_a_sure_first_segment_settles_the_language() -> None:
    engine = Listener(chances=[{"en": 0.05, "de": 0.95}])
    transcript = Transcriber(engine).transcribe(THREE)
    assert (transcript.language, engine.detected, set(engine.languages)) == ("de", 1, {"de"})


def test_an_unsure_one_asks_the_next() -> None:
    engine = Listener(chances=[{"en": 0.6, "de": 0.4}, {"en": 0.1, "de": 0.9}, {"en": 0.0, "de": 1.0}])
    transcript = Transcriber(engine).transcribe(THREE)
    assert (transcript.language, engine.detected) == ("de", 3)
    assert len(transcript.hypotheses) == 3


def test_a_badly_heard_segment_may_switch_the_language_but_only_for_the_better() -> None:
    chances = [{"en": 1.0, "de": 0.0}, {"en": 0.05, "de": 0.95}]
    better = Transcriber(Listener(chances, {"en": -1.5, "de": -0.3})).transcribe(THREE)
    assert {hypothesis.language for hypothesis in better.hypotheses} == {"de"}
    worse = Transcriber(Listener(chances, {"en": -1.5, "de": -1.5})).transcribe(THREE)
    assert {hypothesis.language for hypothesis in worse.hypotheses} == {"en"}
    assert better.language == worse.language == "en"


def test_a_language_that_was_asked_for_is_kept() -> None:
    engine = Listener([{"en": 0.0, "de": 1.0}], {"en": -3.0, "de": -0.1})
    transcript = Transcriber(engine, english()).transcribe(THREE)
    assert (transcript.language, engine.detected) == ("en", 0)
    with pytest.raises(OptionError, match="'fr'"):
        Transcriber(engine, TranscribeOptions(DecodeOptions(language="fr")))


def test_what_guards_did_is_recorded_with_its_time_and_without_words() -> None:
    engine = Listener(warnings=("repetition: text cut",), words=200)
    warnings = Transcriber(engine, english()).transcribe(THREE).warnings
    assert warnings[0].endswith(": repetition: text cut")
    assert "more words than anyone says" in warnings[1]
    assert not any("word word" in warning for warning in warnings)


def test_settings_digest_changes_with_what_changes_the_words() -> None:
    base = Transcriber(FakeEngine(), english()).settings_digest
    assert base == Transcriber(FakeEngine(otherwise="other"), english()).settings_digest
    others = [
        replace(english(), decode=DecodeOptions(language="en", beam=5)),
        replace(english(), policy=Policy(sure=0.5)),
        TranscribeOptions(),
    ]
    assert len({base, *(Transcriber(FakeEngine(), options).settings_digest for options in others)}) == 4
