"""Recordings for the tests of the data package: speech-like sound, written as WAV."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

RATE_HZ = 16_000


def syllables(seconds: float, seed: int = 0, level: float = 0.3) -> np.ndarray:
    """Four bursts a second of a buzz with pauses between, over a faint background."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    gate = np.clip(np.sin(2 * np.pi * 4 * time_s) * 3, 0, 1)
    tone = np.sin(2 * np.pi * (120 + seed % 50) * time_s) + 0.5 * np.sin(2 * np.pi * 900 * time_s)
    return level * gate * tone / 1.5 + 1e-3 * rng.standard_normal(len(time_s))


def write(path: Path, samples: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path
