"""Augmentation on the fly, on log powers: tempo, vocal tract, equaliser, silence, noise, telephone, SpecAugment.

Working on powers costs a tenth of working on samples, so no augmented copy is ever stored. Knows nothing of text or
models. Shapes are (frames, n_mels), frames of 10 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medstt.feature import Features

# Formants of female speakers are about 20 % above those of male ones (Eide & Gish 1996, "A parametric approach to vocal
# tract length normalization"): a model that has heard one of them learns to hear the other.
VOCAL_TRACT = 0.18
FLOOR = np.float32(-10.0)  # log10 power of digital silence, as the front end clamps it
LN10 = np.float32(np.log(10.0))


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """How often (0-1) each change is made; ``strength`` scales the size of all of them."""

    tempo: float = 0.3
    vocal_tract: float = 0.5
    equaliser: float = 0.5
    noise: float = 0.5
    telephone: float = 0.1
    masks: float = 0.6
    strength: float = 1.0


def interpolate(features: Features, positions: np.ndarray, axis: int) -> Features:
    """Return ``features`` read at fractional ``positions`` along ``axis`` (linear)."""
    low = np.clip(positions.astype(np.int64), 0, features.shape[axis] - 1)
    high = np.minimum(low + 1, features.shape[axis] - 1)
    part = np.clip(positions - low, 0, 1).astype(np.float32)
    part = part[:, None] if axis == 0 else part[None, :]
    mixed: Features = np.take(features, low, axis) * (1 - part) + np.take(features, high, axis) * part
    return mixed


def change_tempo(features: Features, factor: float) -> Features:
    """Speak ``factor`` times as fast, pitch unchanged."""
    return interpolate(features, np.arange(int(len(features) / factor)) * factor, 0)


def change_vocal_tract(features: Features, factor: float) -> Features:
    """Shift formants up (factor > 1) or down on the mel axis: other vocal tracts (Jaitly & Hinton 2013)."""
    return interpolate(features, np.arange(features.shape[1]) / factor, 1)


def add_silence(features: Features, before: int, after: int) -> Features:
    """Put frames of digital silence before and after."""
    padded: Features = np.pad(features, ((before, after), (0, 0)), constant_values=FLOOR)
    return padded


def add_powers(one: Features, other: Features) -> Features:
    """Return the log of the sum of two log powers of the same shape (sounds that do not interfere)."""
    total: Features = np.logaddexp(one * LN10, other * LN10) / LN10
    return total


def equalise(features: Features, rng: np.random.Generator, strength: float) -> Features:
    """Colour the sound by a smooth random curve of up to about 10 dB: other microphones, rooms and synthesisers."""
    axis = np.linspace(0, np.pi, features.shape[1], dtype=np.float32)
    curve = sum(rng.normal(0, 0.35) * np.cos(order * axis) for order in (1, 2, 3))
    coloured: Features = np.maximum(features + np.asarray(curve, np.float32) * np.float32(strength), FLOOR)
    return coloured


def random_noise(frames: int, n_mels: int, rng: np.random.Generator) -> Features:
    """Return stationary coloured noise at 0 dB mean power, with the chi-square flutter of real band noise."""
    slope = rng.uniform(-3.0, 0.5)
    colour = slope * np.linspace(0, 1, n_mels, dtype=np.float32)
    flutter = np.log10(rng.gamma(4.0, 0.25, (frames, n_mels)).astype(np.float32) + np.float32(1e-4))
    noise: Features = flutter + colour
    level: Features = noise - np.log10(np.mean(10.0**noise, dtype=np.float32))
    return level


def add_noise(features: Features, noise: Features, snr_db: float) -> Features:
    """Mix in ``noise`` (any length, repeated or cut) at ``snr_db`` over the clip's mean power."""
    repeats = -(-len(features) // len(noise))
    noise = np.tile(noise, (repeats, 1))[: len(features)]
    level = np.log10(np.mean(10.0**features, dtype=np.float32)) - np.log10(np.mean(10.0**noise, dtype=np.float32))
    return add_powers(features, noise + np.float32(level - snr_db / 10))


def mask(features: Features, rng: np.random.Generator, strength: float) -> Features:
    """SpecAugment (Park et al. 2019): blank two bands and two stretches of time, shorter than words."""
    features = features.copy()
    mean = features.mean()
    for _ in range(2):
        width = int(rng.integers(0, int(12 * strength) + 1))
        start = int(rng.integers(0, features.shape[1] - width))
        features[:, start : start + width] = mean
        length = int(rng.integers(0, max(1, min(int(20 * strength), len(features) // 12)) + 1))
        start = int(rng.integers(0, max(1, len(features) - length)))
        features[start : start + length] = mean
    return features


class Augment:
    """Draws the changes for one clip after another; ``noises`` are log powers of recorded noise, may be empty."""

    def __init__(self, options: AugmentOptions, noises: tuple[Features, ...] = ()) -> None:
        self._options = options
        self._noises = noises

    def noise(self, frames: int, n_mels: int, rng: np.random.Generator) -> Features:
        """Return a stretch of recorded or made noise, shape (frames, n_mels)."""
        if self._noises and rng.random() < 0.5:
            noise = self._noises[rng.integers(len(self._noises))]
            start = rng.integers(0, max(1, len(noise) - frames))
            return noise[start : start + frames]
        return random_noise(frames, n_mels, rng)

    def speech(self, features: Features, rng: np.random.Generator) -> Features:
        """Return a changed voice; the words and their order stay."""
        options, strength = self._options, self._options.strength
        if rng.random() < options.tempo:
            features = change_tempo(features, 1 + rng.uniform(-0.14, 0.14) * strength)
        if rng.random() < options.vocal_tract:
            features = change_vocal_tract(features, 1 + rng.uniform(-VOCAL_TRACT, VOCAL_TRACT) * strength)
        if rng.random() < options.equaliser:
            features = equalise(features, rng, strength)
        return features

    def channel(self, features: Features, rng: np.random.Generator) -> Features:
        """Return a changed recording: level, noise, telephone band, masks."""
        options, strength = self._options, self._options.strength
        features = np.maximum(features + np.float32(rng.uniform(-2.0, 0.5)), FLOOR)
        if rng.random() < options.noise:
            noise = self.noise(len(features), features.shape[1], rng)
            features = add_noise(features, noise, rng.uniform(20 - 15 * strength, 40))
        if rng.random() < options.telephone:
            features = features.copy()
            features[:, int(features.shape[1] * 0.72) :] = features.min()  # 3.4 kHz is at 72 % of the mel axis
        return mask(features, rng, strength) if rng.random() < options.masks else features
