"""What every engine can do: three methods over clips of speech, and what it must admit it cannot do.

Knows nothing of files, segmentation policy or any backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from medstt.engine.letter import Letters
from medstt.values import Hypothesis, ModelRef, Samples, Segment


@dataclass(frozen=True, slots=True, eq=False)
class Bonus:
    """What a bias adds to the log-probabilities of the next token (nats): ``values`` for ``tokens``, else ``rest``.

    ``tokens`` (n,) are distinct and in order; no value is below ``rest``. A negative ``rest`` takes back what an
    abandoned phrase was given. ``base`` (vocabulary,), if there is one, comes on top of ``rest``, not of ``values``:
    what may begin a phrase at any place.
    """

    tokens: npt.NDArray[np.integer[Any]]
    values: npt.NDArray[np.float32]
    rest: float = 0.0
    base: npt.NDArray[np.float32] | None = None


class Bias(Protocol):
    """A compiled list of phrases that a decoder favours; one walks along with every beam of every clip.

    States are immutable values of the bias's own; None is a valid one. Only tokens of text are shown to it; the end of
    a text takes part as one more next token.
    """

    @property
    def digest(self) -> str:
        """SHA-256 of phrases, weights and tokenizer."""
        ...

    def start(self) -> Any:
        """Return the state before the first token."""
        ...

    def advance(self, state: Any, token: int) -> Any:
        """Return the state after one more token; called once for each token a beam takes."""
        ...

    def bonus(self, state: Any) -> Bonus | None:
        """Return what to add for the next token, None for nothing at all; called at every step of every beam."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One piece of speech to decode: float32 samples at 16 kHz, its place in the recording, and its own bias."""

    samples: Samples
    segment: Segment
    bias: Bias | None = None


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How to decode; its digest is part of a transcript's settings.

    ``language`` None means "detect among the model's languages". ``beam`` 1 is greedy. ``nbest`` alternatives are
    returned where the engine can. ``audio_context`` None means what the model's card declares, else "dynamic" or
    "full" (30 s). ``word_times`` False skips the alignment pass.
    """

    language: str | None = None
    beam: int = 1
    nbest: int = 1
    audio_context: str | None = None
    word_times: bool = True
    max_tokens: int = 224


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do; a caller asks before it relies on it."""

    bias: bool
    nbest: bool
    word_times: bool
    score: bool
    languages: tuple[str, ...]
    audio_context: str
    warning: str = ""  # what the model's card says against using it; comes with every transcript
    letters: bool = False


@runtime_checkable
class Engine(Protocol):
    """A loaded model. Thread-safe: calls may come from several threads, one runs at a time per engine."""

    @property
    def ref(self) -> ModelRef:
        """Name and digest of the loaded model."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do with this model."""
        ...

    def detect(self, clip: Clip) -> Mapping[str, float]:
        """Return the probability of each of the model's languages for one clip (sums to 1)."""
        ...

    def decode(self, clips: Sequence[Clip], options: DecodeOptions) -> list[Hypothesis]:
        """Return one hypothesis per clip, in the order given; segments are those of the clips."""
        ...

    def score(self, clip: Clip, texts: Sequence[str], language: str) -> list[float]:
        """Return the mean log-probability per token of each text for the clip (forced decoding).

        Raises ModelUnavailable where ``capabilities.score`` is False.
        """
        ...

    def letters(self, clip: Clip) -> Letters | None:
        """Return log-probabilities of characters (positions, characters), None where ``capabilities.letters`` is False.

        Cheap for a clip that was decoded just before.
        """
        ...
