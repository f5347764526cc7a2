"""From cached features to single clips: which utterances, joined how, augmented how, and clips with nothing said.

All chance comes from the generator that is handed in. Knows nothing of batches, tokens or models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medstt.feature import Features
from medstt.train.augment import FLOOR, Augment, AugmentOptions, add_silence
from medstt.train.cache import FeatureCache
from medstt.values import Utterance

MIN_FRAMES = 30  # longer utterances are used
MAX_FRAMES = 2400  # longest joined clip
MEAN_PAUSE = 50  # frames of silence before an utterance, on average

CLEAN = AugmentOptions(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

Pair = tuple[int, int]  # (number of the cache, index of the utterance)
Clip = tuple[Pair, ...]  # utterances said one after another


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is said in a clip, and where speech starts and ends in frames."""

    text: str
    lang: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Item:
    """One clip: features before scaling, shape (frames, n_mels), and what is said."""

    features: Features
    spoken: Spoken


class Clips:
    """The clips of some caches. ``weights`` say how often an epoch holds each cache's utterances (2: twice).

    A share ``joined`` (0-1) of the clips is made of several utterances.
    """

    def __init__(
        self, caches: Sequence[FeatureCache], weights: Sequence[float], augment: Augment, joined: float
    ) -> None:
        self._caches, self._weights, self._augment, self._joined = caches, weights, augment, joined
        self._clean = Augment(CLEAN)

    def choose(self, rng: np.random.Generator) -> list[Clip]:
        """Return the clips of an epoch in random order: utterances by weight, some joined to a neighbour."""
        chosen: list[Pair] = []
        for number, (cache, weight) in enumerate(zip(self._caches, self._weights, strict=True)):
            usable = np.flatnonzero((cache.frames > MIN_FRAMES) & (cache.frames <= MAX_FRAMES))
            left = int(len(usable) * weight)
            while left > 0:
                picks = rng.permutation(usable)[:left]
                chosen += [(number, int(index)) for index in picks]
                left -= len(picks)
        order = [chosen[index] for index in rng.permutation(len(chosen))]
        clips: list[Clip] = []
        for pair in order:
            clip = (*clips[-1], pair) if clips else (pair,)
            joins = clips and rng.random() < self._joined and self.length(clip) <= MAX_FRAMES
            if joins and self._row(pair).lang == self._row(clips[-1][0]).lang:
                clips[-1] = clip
            else:
                clips.append((pair,))
        return clips

    def length(self, clip: Clip) -> int:
        """Return about how many frames a clip has, silence included."""
        return sum(int(self._caches[number].frames[index]) + MEAN_PAUSE for number, index in clip)

    def item(self, clip: Clip, share: float, rng: np.random.Generator) -> Item:
        """Return a clip's sound and text; with a probability of ``share`` it is augmented."""
        augment = self._augment if rng.random() < share else self._clean
        parts: list[Features] = []
        for number, index in clip:
            pause = int(rng.integers(15, 2 * MEAN_PAUSE)) if parts else 0
            parts.append(add_silence(augment.speech(self._caches[number].features(index), rng), pause, 0))
        speech = np.concatenate(parts)
        text = " ".join(self._row(pair).text for pair in clip)
        before, after = int(rng.integers(0, 40)), int(rng.integers(0, 60))
        channel = augment.channel(add_silence(speech, before, after), rng)
        return Item(channel, Spoken(text, self._row(clip[0]).lang, before, before + len(speech)))

    def empty(self, longest: int, rng: np.random.Generator) -> Item:
        """Return noise or silence of at most ``longest`` frames, with nothing to write."""
        n_mels = self._caches[0].features(0).shape[1]
        frames = int(rng.integers(min(50, longest), longest + 1))
        noise = self._augment.noise(frames, n_mels, rng) + np.float32(rng.uniform(-6, 0))
        sound = noise if rng.random() < 0.8 else np.full_like(noise, FLOOR)
        return Item(sound, Spoken("", str(rng.choice(["en", "de"])), 0, 0))

    def _row(self, pair: Pair) -> Utterance:
        return self._caches[pair[0]].utterances[pair[1]]
