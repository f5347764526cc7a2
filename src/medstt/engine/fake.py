"""A deterministic engine without a model: says the text it was given for a clip. For tests and load tests.

Knows nothing of speech.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from medstt.engine.letter import Letters
from medstt.engine.protocol import Capabilities, Clip, DecodeOptions
from medstt.values import LANGUAGES, Alternative, Hypothesis, ModelRef, Samples, Segment, Word

_SILENCE = 1e-4  # peak amplitude below which a clip is silent
_CONFIDENCE = 0.9
_LOGPROB = -0.1


def clip_digest(samples: Samples) -> str:
    """Return the SHA-256 of a clip's float32 samples, by which ``FakeEngine`` knows it again."""
    return hashlib.sha256(np.ascontiguousarray(samples, np.float32).tobytes()).hexdigest()


class FakeEngine:
    """Say ``texts[clip_digest(samples)]``, else ``otherwise``; nothing for silent clips.

    Words share the clip's time equally. ``languages`` are those it claims to know; it detects the first.
    """

    def __init__(
        self,
        texts: Mapping[str, str] | None = None,
        otherwise: str = "the patient is well",
        *,
        name: str = "fake",
        languages: tuple[str, ...] = LANGUAGES,
    ) -> None:
        self._texts = dict(texts or {})
        self._otherwise = otherwise
        self._languages = languages
        script = "\0".join([otherwise, *languages, *(f"{key}={self._texts[key]}" for key in sorted(self._texts))])
        self._ref = ModelRef(name, hashlib.sha256(script.encode()).hexdigest())

    @property
    def ref(self) -> ModelRef:
        """Its name and the digest of what it was told to say."""
        return self._ref

    @property
    def capabilities(self) -> Capabilities:
        """Word times and scores; it does not listen to a bias and has one reading of everything."""
        return Capabilities(False, False, True, True, self._languages, "dynamic")

    def detect(self, clip: Clip) -> Mapping[str, float]:
        """Return certainty in the first language."""
        return {language: float(number == 0) for number, language in enumerate(self._languages)}

    def decode(self, clips: Sequence[Clip], options: DecodeOptions) -> list[Hypothesis]:
        """Return the text it was given for each clip."""
        return [self._say(clip, options.language or self._languages[0]) for clip in clips]

    def score(self, clip: Clip, texts: Sequence[str], language: str) -> list[float]:
        """Return a high score for the text it would say and low ones for others."""
        said = self._text(clip)
        return [_LOGPROB if text == said else -5.0 for text in texts]

    def letters(self, clip: Clip) -> Letters | None:
        """Return nothing: it hears no letters."""
        return None

    def _text(self, clip: Clip) -> str:
        if len(clip.samples) == 0 or np.abs(clip.samples).max() < _SILENCE:
            return ""
        return self._texts.get(clip_digest(clip.samples), self._otherwise)

    def _say(self, clip: Clip, language: str) -> Hypothesis:
        texts = self._text(clip).split()
        start, length = clip.segment.start_ms, clip.segment.duration_ms
        edges = [start + length * number // max(1, len(texts)) for number in range(len(texts) + 1)]
        words = tuple(
            Word(text, Segment(edges[number], edges[number + 1]), _CONFIDENCE) for number, text in enumerate(texts)
        )
        alternatives: tuple[Alternative, ...] = ()
        return Hypothesis(clip.segment, words, _LOGPROB, 0.0 if texts else 0.99, language, alternatives)
