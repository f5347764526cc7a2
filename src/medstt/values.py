"""The nouns every floor shares: frozen values, integer milliseconds, no behaviour that needs a library but NumPy.

Knows nothing of files, models, databases or the web.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Language = Literal["en", "de"]
LANGUAGES: tuple[Language, ...] = ("en", "de")
RATE_HZ = 16_000

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """One decoded recording: mono float32 samples, shape (n,), at ``rate_hz``; read-only.

    ``digest`` is the SHA-256 of the source bytes, ``warnings`` what the decoder had to say (cut short, clipped).
    """

    samples: Samples
    digest: str
    source: str
    rate_hz: int = RATE_HZ
    warnings: tuple[str, ...] = ()

    @property
    def duration_ms(self) -> int:
        """Length in milliseconds."""
        return len(self.samples) * 1000 // self.rate_hz


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A span of time in the recording, in milliseconds, end exclusive."""

    start_ms: int
    end_ms: int

    @property
    def duration_ms(self) -> int:
        """Length in milliseconds."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word, when it was said, and the model's probability for it (0-1)."""

    text: str
    segment: Segment
    confidence: float


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another reading of one segment with its mean log-probability per token (natural log)."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read some words, and its probability among the readings that were weighed (0-1)."""

    text: str
    probability: float


Reason = Literal["replaced", "kept", "look_alike"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A name that was weighed against names of like sound: the words it stands at, and what became of it.

    ``first``..``last`` (exclusive) are words of the hypothesis; ``heard`` is what the decoder wrote first, ``written``
    what stands there now. "replaced": a name took the place of what is no word; "kept": what was heard stands, another
    reading is near; "look_alike": a name stands that is easily mistaken for another reading.
    """

    first: int
    last: int
    heard: str
    written: str
    readings: tuple[Reading, ...]
    reason: Reason


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What an engine heard in one segment: words, mean log-probability per token, probability of no speech (0-1).

    ``warnings`` say what a guard did to it (a loop cut, invented text dropped), ``choices`` which names were weighed.
    """

    segment: Segment
    words: tuple[Word, ...]
    logprob: float
    no_speech: float
    language: str
    alternatives: tuple[Alternative, ...] = ()
    warnings: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()

    @property
    def text(self) -> str:
        """The words joined by single spaces."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model version produced something: its name and the digest of its weights and configuration."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """The verbatim words of one recording, never edited; everything later points back to it."""

    source: str
    audio_digest: str
    duration_ms: int
    language: str
    model: ModelRef
    settings_digest: str
    hypotheses: tuple[Hypothesis, ...]
    warnings: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        """All words in order of time."""
        return tuple(word for hypothesis in self.hypotheses for word in hypothesis.words)

    @property
    def text(self) -> str:
        """The verbatim text, one space between words."""
        return " ".join(word.text for word in self.words)


Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start``..``end`` of a document, where they came from, and by which rule.

    ``words`` are indices into the input words; ``origin`` says whether words, a spoken command or a template
    (auto-text) put the characters there.
    """

    start: int
    end: int
    words: tuple[int, ...]
    rule: str
    origin: Literal["words", "command", "template"] = "words"


@dataclass(frozen=True, slots=True)
class Flag:
    """A doubt for the reader: characters ``start``..``end`` of the document, the reason's code and a sentence."""

    start: int
    end: int
    reason: str
    message: str
    severity: Severity
    words: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a document: characters ``start``..``end`` of its text."""

    key: str
    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """The written report made from words; every span points back to the words, command or template behind it."""

    text: str
    language: str
    spans: tuple[Span, ...]
    sections: tuple[Section, ...] = ()
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in a document: characters ``start``..``end`` became ``text``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person changed, appended to a dictation's history and never overwritten. ``at_ms`` is Unix time."""

    dictation: str
    edits: tuple[Edit, ...]
    author: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """One piece of speech and what was said: the unit of manifests, training and evaluation.

    ``audio`` is a path relative to the manifest; ``end_ms`` may be None for "to the end". ``tags`` carry slices
    (speaker's tier, specialty, snr_db ...), ``terms`` the lexicon terms the text was built around.
    """

    id: str
    audio: str
    text: str
    lang: str
    start_ms: int = 0
    end_ms: int | None = None
    speaker: str = ""
    split: str = "train"
    terms: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version of a model and everything it came from (all digests SHA-256)."""

    name: str
    version: str
    digest: str
    parent: str | None = None
    recipe: str | None = None
    data: tuple[str, ...] = ()
    vocab: str | None = None
    report: str | None = None
