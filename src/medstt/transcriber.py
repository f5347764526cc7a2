"""Recording and engine to transcript: the one home of decode policy (language, batches, doubtful segments).

Streams: audio, segments and hypotheses pass through one at a time, so memory stays flat however long the recording is.
Knows nothing of model names, files to be written, or how the words are later formatted.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING

from medstt.audio import AudioStream, Source, open_audio
from medstt.engine.protocol import Bias, Clip, DecodeOptions, Engine
from medstt.errors import OptionError
from medstt.feature import FRONT_END_VERSION
from medstt.speech import SegmentOptions, segment_stream
from medstt.values import RATE_HZ, Audio, Hypothesis, Samples, Segment, Transcript

if TYPE_CHECKING:
    from medstt.engine.bias.check import NameCheck

POLICY_VERSION = "policy-1"
NO_SPEECH = "no speech found"
UNDETERMINED = "und"  # ISO 639-2, where nothing was said
BATCHES = (
    1,
    2,
    4,
    8,
    16,
)  # clips per call: small at first, so that the first text comes soon; the last one is repeated
_BLOCK = RATE_HZ


@dataclass(frozen=True, slots=True)
class Policy:
    """When to doubt what an engine heard, beyond its own guards. Probabilities 0-1, ``logprob`` as in Hypothesis.

    The language is detected on up to ``detect_clips`` clips until one is ``sure``; a later segment heard worse than
    ``doubt_logprob`` is tried again in another language that is ``switch`` probable, and kept in it if it is
    ``switch_gain`` better there. More than ``words_per_s`` words is flagged, for nobody speaks so fast.
    """

    detect_clips: int = 3
    sure: float = 0.8
    doubt_logprob: float = -0.7
    switch: float = 0.9
    switch_gain: float = 0.1
    words_per_s: float = 8.0


@dataclass(frozen=True, slots=True)
class TranscribeOptions:
    """How a recording becomes a transcript. ``decode.language`` None: detect once and keep unless clearly different."""

    decode: DecodeOptions = field(default_factory=DecodeOptions)
    segments: SegmentOptions = field(default_factory=SegmentOptions)
    policy: Policy = field(default_factory=Policy)


class Transcriber:
    """An engine with a decode policy; cheap to make, safe to share between threads as far as its engine is.

    ``bias`` and ``check`` listen for names; ``warnings`` about them come with every transcript.
    """

    def __init__(
        self,
        engine: Engine,
        options: TranscribeOptions = TranscribeOptions(),
        bias: Bias | None = None,
        check: NameCheck | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        language, known = options.decode.language, engine.capabilities.languages
        if language is not None and language not in known:
            raise OptionError(
                f"{engine.ref.name} does not understand the language {language!r}", f"It knows {', '.join(known)}"
            )
        if bias is not None and not engine.capabilities.bias:
            raise OptionError(f"{engine.ref.name} runs on an engine without vocabulary bias", "Use the onnx engine")
        self.engine = engine
        self.options = options
        self.bias = bias
        self.check = check
        self.warnings = warnings + ((engine.capabilities.warning,) if engine.capabilities.warning else ())

    @property
    def settings_digest(self) -> str:
        """SHA-256 over everything but the model and the recording that can change the words."""
        settings = {
            "policy": POLICY_VERSION,
            "front_end": FRONT_END_VERSION,
            "options": asdict(self.options),
            "capabilities": asdict(self.engine.capabilities),
            "bias": self.bias.digest if self.bias else None,
            "names": self.check.digest if self.check else None,
        }
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def transcribe(self, source: Source | Audio, name: str | None = None) -> Transcript:
        """Return the transcript of a whole recording; raises an AudioError."""
        with self.open(source, name) as transcription:
            for _ in transcription:
                pass
            return transcription.transcript()

    def stream(self, source: Source | Audio, name: str | None = None) -> Iterator[Hypothesis]:
        """Yield what is heard, phrase by phrase in order of time; raises an AudioError."""
        with self.open(source, name) as transcription:
            yield from transcription

    def open(self, source: Source | Audio, name: str | None = None) -> Transcription:
        """Start on a recording; iterate over the result to do the work, then ask it for its ``transcript()``."""
        return Transcription(self, source, name)


class Transcription:
    """One recording on its way: yields hypotheses once, and knows how far it has come.

    ``position_ms`` is how much has been decoded, ``declared_ms`` the length that the file claims (None if it does not).
    """

    def __init__(self, transcriber: Transcriber, source: Source | Audio, name: str | None) -> None:
        self._engine = transcriber.engine
        self._options = transcriber.options
        self._bias = transcriber.bias
        self._check = transcriber.check
        self._settings_digest = transcriber.settings_digest
        self._audio: Audio | AudioStream = source if isinstance(source, Audio) else open_audio(source, name)
        self._language = self._options.decode.language
        self._heard: list[Hypothesis] = []
        self._doubts: list[str] = list(transcriber.warnings)
        self._finished = False
        self.position_ms = 0
        self.declared_ms = source.duration_ms if isinstance(source, Audio) else self._declared()

    def __enter__(self) -> Transcription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self._audio, AudioStream):
            self._audio.close()

    def _declared(self) -> int | None:
        return self._audio.info.duration_ms if isinstance(self._audio, AudioStream) else None

    def __iter__(self) -> Iterator[Hypothesis]:
        clips = (
            Clip(piece.samples, piece.segment, self._bias)
            for piece in segment_stream(self._blocks(), self._options.segments)
        )
        first = self._settle_language(clips)
        for batch in _batches(itertools.chain(first, clips)):
            for clip, hypothesis in zip(batch, self._decode(batch), strict=True):
                self.position_ms = hypothesis.segment.end_ms
                kept = self._judge(self._check_names(clip, self._reconsider(clip, hypothesis)))
                if kept is not None:
                    self._heard.append(kept)
                    yield kept
        self._finished = True

    def transcript(self) -> Transcript:
        """Return the whole transcript, once everything has been iterated over."""
        if not self._finished:
            raise ValueError("The transcript is complete after the last hypothesis")
        audio = self._audio
        warnings = (*audio.warnings, *self._doubts, *(() if self._heard else (NO_SPEECH,)))
        return Transcript(
            source=audio.source if isinstance(audio, Audio) else audio.info.source,
            audio_digest=audio.digest,
            duration_ms=audio.duration_ms,
            language=self._language or UNDETERMINED,
            model=self._engine.ref,
            settings_digest=self._settings_digest,
            hypotheses=tuple(self._heard),
            warnings=warnings,
        )

    def _blocks(self) -> Iterable[Samples]:
        if isinstance(self._audio, AudioStream):
            return self._audio
        samples = self._audio.samples
        return (samples[start : start + _BLOCK] for start in range(0, len(samples), _BLOCK))

    def _settle_language(self, clips: Iterator[Clip]) -> list[Clip]:
        """Detect the language where none was given; return the clips that were taken to do so."""
        known = self._engine.capabilities.languages
        if self._language is None and len(known) == 1:
            self._language = known[0]
        if self._language is not None:
            return []
        taken: list[Clip] = []
        votes = dict.fromkeys(known, 0.0)
        for clip in itertools.islice(clips, self._options.policy.detect_clips):
            taken.append(clip)
            for language, probability in self._engine.detect(clip).items():
                votes[language] += probability * clip.segment.duration_ms
            self._language = max(votes, key=lambda language: votes[language])
            if votes[self._language] >= self._options.policy.sure * sum(votes.values()):
                break
        return taken

    def _decode(self, batch: list[Clip]) -> list[Hypothesis]:
        return self._engine.decode(batch, replace(self._options.decode, language=self._language))

    def _reconsider(self, clip: Clip, hypothesis: Hypothesis) -> Hypothesis:
        """Try a badly heard segment in another language, where none was asked for and one is clearly more likely."""
        policy = self._options.policy
        if self._options.decode.language is not None or hypothesis.logprob >= policy.doubt_logprob:
            return hypothesis
        if len(self._engine.capabilities.languages) == 1:
            return hypothesis
        chances = self._engine.detect(clip)
        likely = max(chances, key=lambda language: chances[language])
        if likely == hypothesis.language or chances[likely] < policy.switch:
            return hypothesis
        other = self._engine.decode([clip], replace(self._options.decode, language=likely))[0]
        return other if other.logprob >= hypothesis.logprob + policy.switch_gain else hypothesis

    def _check_names(self, clip: Clip, hypothesis: Hypothesis) -> Hypothesis:
        """Weigh doubtful words and names with a look-alike against names of like sound."""
        return self._check.check(self._engine, clip, hypothesis) if self._check else hypothesis

    def _judge(self, hypothesis: Hypothesis) -> Hypothesis | None:
        """Return the hypothesis, None for an empty one; note what guards did, and doubts, without any words."""
        place, seconds = _clock(hypothesis.segment), hypothesis.segment.duration_ms / 1000
        self._doubts += [f"{place}: {warning}" for warning in hypothesis.warnings]
        if len(hypothesis.words) > self._options.policy.words_per_s * max(1.0, seconds):
            self._doubts.append(f"{place}: more words than anyone says in that time")
        return hypothesis if hypothesis.words else None


def _batches(clips: Iterable[Clip]) -> Iterator[list[Clip]]:
    """Group clips into growing batches."""
    rest = iter(clips)
    for size in itertools.chain(BATCHES, itertools.repeat(BATCHES[-1])):
        batch = list(itertools.islice(rest, size))
        if not batch:
            return
        yield batch


def _clock(segment: Segment) -> str:
    """Write a segment's times as minutes and seconds."""
    return "-".join(
        f"{ms // 60_000}:{ms // 1000 % 60:02d}.{ms // 100 % 10}" for ms in (segment.start_ms, segment.end_ms)
    )
