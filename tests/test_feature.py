from __future__ import annotations

import librosa
import numpy as np
import pytest

from medstt.feature import FULL_CONTEXT, HOP, WINDOW, log_mel, log_power, mel_filters, pad_samples, scale
from medstt.values import RATE_HZ

MELS = (80, 128)
TOLERANCE = 1e-5


def clips():
    random = np.random.default_rng(11)
    time = np.arange(5 * RATE_HZ) / RATE_HZ
    chirp = 0.5 * np.sin(2 * np.pi * (100 + 700 * time) * time)
    speechlike = (
        sum(np.sin(2 * np.pi * 120 * h * time) / h for h in range(1, 40)) * (1 + np.sin(2 * np.pi * 4 * time)) / 8
    )
    impulse = np.zeros(RATE_HZ)
    impulse[5_000] = 1.0
    return {
        "noise": random.normal(0, 0.1, 3 * RATE_HZ),
        "quiet": random.normal(0, 0.001, 2 * RATE_HZ),
        "chirp": chirp,
        "speechlike": speechlike,
        "impulse": impulse,
        "silence": np.zeros(RATE_HZ),
        "loud then quiet": np.concatenate([0.9 * chirp[:RATE_HZ], random.normal(0, 1e-5, RATE_HZ)]),
        "full scale": np.sign(np.sin(2 * np.pi * 200 * time)),
        "odd length": random.normal(0, 0.1, 31_337),
    }


CLIPS = {name: samples.astype(np.float32) for name, samples in clips().items()}


@pytest.fixture(scope="module")
def extractors():
    transformers = pytest.importorskip("transformers", reason="compares with transformers (extra: train)")
    return {n_mels: transformers.WhisperFeatureExtractor(feature_size=n_mels) for n_mels in MELS}


@pytest.mark.parametrize("n_mels", MELS)
def test_filters_are_librosas(n_mels):
    expected = librosa.filters.mel(sr=RATE_HZ, n_fft=WINDOW, n_mels=n_mels)
    np.testing.assert_allclose(mel_filters(n_mels), expected, atol=1e-8)
    assert not mel_filters(n_mels).flags.writeable


@pytest.mark.parametrize("n_mels", MELS)
@pytest.mark.parametrize("name", CLIPS)
def test_power_is_librosas(name, n_mels):
    samples = CLIPS[name]
    mel = librosa.feature.melspectrogram(
        y=samples.astype(np.float64), sr=RATE_HZ, n_fft=WINDOW, hop_length=HOP, n_mels=n_mels, pad_mode="reflect"
    )
    expected = np.log10(np.maximum(mel, 1e-10))[:, : len(samples) // HOP]
    assert log_power(samples, n_mels).shape == expected.shape
    np.testing.assert_allclose(log_power(samples, n_mels), expected, atol=TOLERANCE)


@pytest.mark.parametrize("n_mels", MELS)
@pytest.mark.parametrize("name", CLIPS)
def test_features_are_transformers(extractors, name, n_mels):
    # The reference's NumPy path; its torch path computes in float32, hence the wider tolerance in the test below.
    padded = pad_samples(CLIPS[name], FULL_CONTEXT)
    expected = extractors[n_mels]._np_extract_fbank_features(padded[np.newaxis], device="cpu")[0]
    features = log_mel(CLIPS[name], n_mels, FULL_CONTEXT)
    assert features.shape == (n_mels, 3_000)
    np.testing.assert_allclose(features, expected, atol=TOLERANCE)


@pytest.mark.parametrize("n_mels", MELS)
def test_features_are_what_the_extractor_returns_in_use(extractors, n_mels):
    samples = CLIPS["speechlike"]
    expected = extractors[n_mels](samples, sampling_rate=RATE_HZ, return_tensors="np").input_features[0]
    np.testing.assert_allclose(log_mel(samples, n_mels, FULL_CONTEXT), expected, atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 100, 160, 200, 201, 319, 320, 321, 31_337, 480_000, 480_001, 500_000])
def test_length_is_whole_encoder_positions(count):
    features = log_mel(np.ones(count, np.float32) * 0.1)
    assert features.shape == (80, 2 * max(1, -(-count // 320)))
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_padding_never_cuts():
    assert len(pad_samples(np.zeros(500_000, np.float32), FULL_CONTEXT)) == 500_000
    assert len(pad_samples(np.zeros(5, np.float32), FULL_CONTEXT)) == FULL_CONTEXT


def test_scaling_spans_eight_decades_below_the_loudest():
    log = np.array([[-10.0, -3.0, 2.0]], np.float32)
    np.testing.assert_allclose(scale(log), [[-0.5, 0.25, 1.5]])
    assert scale(np.zeros((80, 0), np.float32)).shape == (80, 0)


def test_level_does_not_change_the_shape_of_the_features():
    samples = CLIPS["noise"]
    difference = log_mel(samples) - log_mel(samples * np.float32(0.1))
    np.testing.assert_allclose(difference, 0.5, atol=1e-4)  # 20 dB are 2 decades of power, divided by 4
