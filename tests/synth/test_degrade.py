"""Noise at the ratio asked for, rooms that keep level and timing, codecs that limit the band; all by seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medstt.errors import DataError
from medstt.synth.degrade import (
    CODECS,
    Degrader,
    Sounds,
    add_noise,
    apply_codec,
    apply_impulse,
    find_sounds,
    is_test_noise,
    make_noise,
    mean_power,
    simulate_impulse,
)
from medstt.synth.make import write_wav
from medstt.synth.recipe import Degrade
from medstt.values import RATE_HZ, Samples


@pytest.fixture(scope="module")
def speech() -> Samples:
    rng = np.random.default_rng(3)
    gate = np.repeat(rng.random(20) > 0.3, RATE_HZ // 10)
    return (0.2 * gate * rng.standard_normal(len(gate))).astype(np.float32)


def test_noise_has_the_ratio_asked_for(speech: Samples) -> None:
    rng = np.random.default_rng(1)
    for snr_db in (-3.0, 5.0, 25.0):
        noise = make_noise(1000, rng)  # shorter than the speech: repeated
        added = add_noise(speech, noise, snr_db) - speech
        assert 10 * np.log10(mean_power(speech) / mean_power(added)) == pytest.approx(snr_db, abs=0.3)


def test_a_room_keeps_level_and_start_and_decays(speech: Samples) -> None:
    rng = np.random.default_rng(1)
    impulse = simulate_impulse(300, 3.0, rng)
    half = len(impulse) // 2
    fall_db = 10 * np.log10(np.sum(impulse[40:half] ** 2) / np.sum(impulse[half:] ** 2))
    assert fall_db == pytest.approx(30, abs=3)
    late = np.concatenate([np.zeros(500, np.float32), impulse])
    wet, same = apply_impulse(speech, impulse), apply_impulse(speech, late)
    assert len(speech) < len(wet) <= len(speech) + RATE_HZ // 5
    assert mean_power(wet[: len(speech)]) == pytest.approx(mean_power(speech), rel=1e-3)
    np.testing.assert_allclose(wet, same, atol=1e-5)  # a late direct sound does not shift the words


@pytest.mark.parametrize(("name", "keeps_high"), [("ulaw", False), ("amr", False), ("opus", True), ("mp3", True)])
def test_codecs_keep_length_and_limit_the_band(speech: Samples, name: str, keeps_high: bool) -> None:
    coded = apply_codec(speech, name)
    assert abs(len(coded) - len(speech)) < RATE_HZ // 8
    spectrum = np.abs(np.fft.rfft(coded)) ** 2
    frequency = np.fft.rfftfreq(len(coded), 1 / RATE_HZ)
    high = spectrum[frequency > 4300].sum() / spectrum.sum()
    assert bool(high > 0.05) is keeps_high
    assert mean_power(coded) == pytest.approx(mean_power(speech), rel=0.8)


def test_everything_follows_from_the_seed(speech: Samples) -> None:
    options = Degrade(noise=0.5, rooms=0.5, codecs=0.5)
    first, second = Degrader(options, Sounds()), Degrader(options, Sounds())
    tags = []
    for number in range(12):
        samples, tag = first.degrade(speech, f"clip-{number}")
        again, same = second.degrade(speech, f"clip-{number}")
        assert tag == same
        np.testing.assert_array_equal(samples, again)
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= 1.0
        if not tag:
            np.testing.assert_array_equal(samples, speech)
        tags.append(tag)
    assert {name for tag in tags for name in tag} == {"room", "snr_db", "codec"}
    assert {} in tags
    assert all(tag["codec"] in CODECS for tag in tags if "codec" in tag)


def test_test_noise_is_kept_from_training(tmp_path: Path, speech: Samples) -> None:
    stems = [f"noise{number}" for number in range(12)]
    for stem in stems:
        write_wav(tmp_path / "noise" / f"{stem}.wav", speech[:1600])
    options = Degrade(noises="noise", noise=1.0, made=0.0, rooms=0.0, codecs=0.0)
    train, test = find_sounds(options, tmp_path, "train"), find_sounds(options, tmp_path, "test")
    assert {path.stem for path in test.noises} == {stem for stem in stems if is_test_noise(stem)} != set()
    assert {path.stem for path in train.noises} == {stem for stem in stems if not is_test_noise(stem)}
    _, tags = Degrader(options, train).degrade(speech, "a")
    assert 5 <= float(tags["snr_db"]) <= 30


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        find_sounds(Degrade(noises="nowhere"), tmp_path, "train")
