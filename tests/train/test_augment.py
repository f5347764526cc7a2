from __future__ import annotations

import numpy as np
import pytest

from medstt.train.augment import (
    FLOOR,
    Augment,
    AugmentOptions,
    add_noise,
    add_powers,
    add_silence,
    change_tempo,
    change_vocal_tract,
    random_noise,
)


@pytest.fixture
def speech() -> np.ndarray:
    return np.random.default_rng(0).normal(-3, 1, (200, 80)).astype(np.float32)


def test_powers_add() -> None:
    one = np.full((2, 3), 1.0, np.float32)
    assert add_powers(one, one) == pytest.approx(1 + np.log10(2))


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 30.0])
def test_noise_has_the_asked_level(speech: np.ndarray, snr_db: float) -> None:
    noise = random_noise(50, 80, np.random.default_rng(1))
    mixed = add_noise(speech, noise, snr_db)
    added = np.mean(10.0**mixed) - np.mean(10.0**speech)
    assert 10 * np.log10(np.mean(10.0**speech) / added) == pytest.approx(snr_db, abs=0.5)


def test_tempo_changes_the_length_and_vocal_tract_does_not(speech: np.ndarray) -> None:
    assert change_tempo(speech, 1.25).shape == (160, 80)
    assert change_vocal_tract(speech, 1.1).shape == speech.shape
    assert np.allclose(change_vocal_tract(speech, 1.0), speech)


def test_silence_is_digital(speech: np.ndarray) -> None:
    padded = add_silence(speech, 5, 7)
    assert padded.shape == (212, 80)
    assert (padded[:5] == FLOOR).all()
    assert (padded[-7:] == FLOOR).all()


def test_same_chance_same_clip(speech: np.ndarray) -> None:
    augment = Augment(AugmentOptions(1, 1, 1, 1, 1, 1))
    one, other = (augment.channel(augment.speech(speech, rng), rng) for rng in map(np.random.default_rng, (3, 3)))
    assert np.array_equal(one, other)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()


def test_strength_decides_how_loud_noise_may_be(speech: np.ndarray) -> None:
    only_noise = {"tempo": 0.0, "vocal_tract": 0.0, "equaliser": 0.0, "noise": 1.0, "telephone": 0.0, "masks": 0.0}
    loudest = {}
    for strength in (0.2, 1.0):
        augment = Augment(AugmentOptions(**only_noise, strength=strength))
        clips = [augment.channel(speech, np.random.default_rng(seed)) for seed in range(30)]
        # The level changes too: what noise fills is how far the quietest cell lies below the mean.
        loudest[strength] = max(float(clip.min() - np.log10(np.mean(10.0**clip))) for clip in clips)
    assert loudest[0.2] < loudest[1.0] - 0.5
