from __future__ import annotations

import numpy as np
import pytest
from recordings import float_wav, tone

from medstt.audio import read_audio


def level_db(samples):
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def mix(*channels, rate_hz=16_000):
    return read_audio(float_wav(np.stack(channels).astype(np.float32), rate_hz))


@pytest.fixture(scope="module")
def voice():
    random = np.random.default_rng(4)
    noise = np.convolve(random.normal(size=5 * 16_000), np.hanning(9), mode="same")
    syllables = np.sin(np.pi * 3 * np.arange(len(noise)) / 16_000) ** 2
    return (0.1 * noise * syllables / np.std(noise)).astype(np.float32)


def test_equal_channels_keep_their_level(voice):
    np.testing.assert_allclose(mix(voice, voice).samples, voice, atol=1e-6)


def test_two_voices_are_averaged(voice):
    other = np.roll(voice, 7_000)
    np.testing.assert_allclose(mix(voice, other).samples, (voice + other) / 2, atol=1e-6)


def test_an_inverted_channel_does_not_cancel_the_other(voice):
    audio = mix(voice, -voice)
    np.testing.assert_allclose(np.abs(audio.samples), np.abs(voice), atol=1e-6)
    assert any("polarity" in warning for warning in audio.warnings)


def test_nearly_inverted_channels_with_own_noise(voice):
    random = np.random.default_rng(5)
    audio = mix(voice + random.normal(0, 0.005, len(voice)), -0.8 * voice + random.normal(0, 0.005, len(voice)))
    assert level_db(audio.samples) == pytest.approx(level_db(0.9 * voice), abs=0.3)


@pytest.mark.parametrize("hiss", [0.0, 0.0005])
def test_a_dead_channel_costs_no_level(voice, hiss):
    dead = np.random.default_rng(5).normal(0, hiss, len(voice))
    assert level_db(mix(voice, dead).samples) == pytest.approx(level_db(voice), abs=0.1)
    assert level_db(mix(dead, voice).samples) == pytest.approx(level_db(voice), abs=0.1)


def test_an_offset_on_the_dead_channel_is_not_taken_for_sound(voice):
    audio = mix(voice, np.full(len(voice), 0.2))
    assert level_db(audio.samples - audio.samples.mean()) == pytest.approx(level_db(voice), abs=0.1)


def test_speakers_on_channels_of_their_own_are_both_heard_from_the_first_word(voice):
    silence = np.zeros_like(voice)
    audio = mix(np.concatenate([voice, silence, voice]), np.concatenate([silence, voice, silence]))
    n = len(voice)
    for part in (audio.samples[:n], audio.samples[n : 2 * n], audio.samples[2 * n :]):
        assert level_db(part) == pytest.approx(level_db(voice), abs=6.1)
    onset = audio.samples[n : n + 8_000]
    assert level_db(onset) > level_db(voice[:8_000]) - 6.1


def test_the_weights_change_without_a_step():
    steady = tone(6, amplitude=0.5)
    late = np.concatenate([np.zeros(40_000, np.float32), steady[40_000:]])
    samples = mix(steady, late).samples
    # Until the ramp has run, the two add up: twice the slope, but no jump.
    assert np.abs(np.diff(samples)).max() < 2 * np.abs(np.diff(steady)).max()
    np.testing.assert_allclose(samples[-16_000:], steady[-16_000:], atol=1e-6)


def test_more_than_two_channels(voice):
    audio = mix(voice, voice, np.zeros_like(voice), -voice, voice, np.zeros_like(voice))
    assert level_db(audio.samples) == pytest.approx(level_db(voice), abs=0.1)


def test_stray_nan_becomes_silence_and_is_counted():
    samples = tone(2)
    samples[5_000:5_010] = np.nan
    samples[9_000] = np.inf
    audio = read_audio(float_wav(samples))
    assert np.isfinite(audio.samples).all()
    assert audio.warnings == ("not a number: 11 of 32000 samples replaced by silence",)
    np.testing.assert_array_equal(audio.samples[5_000:5_010], 0)


def test_nan_does_not_spread_through_the_resampler():
    samples = tone(2, 48_000)
    samples[48_000] = np.nan
    audio = read_audio(float_wav(samples, 48_000))
    assert np.isfinite(audio.samples).all()
    np.testing.assert_allclose(audio.samples[100:12_000], tone(2)[100:12_000], atol=0.01)


def test_clipping_is_counted_and_overshoot_limited():
    audio = read_audio(float_wav(3 * tone(2)))
    assert np.abs(audio.samples).max() <= 1.0
    assert audio.warnings[0].startswith("clipped: ")
    assert read_audio(float_wav(tone(2, amplitude=0.9))).warnings == ()
