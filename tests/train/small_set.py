"""A training set that needs no synthesiser: words are tones, so a small model can learn them in a few steps."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from medstt.manifest import write_manifest
from medstt.values import RATE_HZ, Utterance

WORDS = {"left": 300.0, "right": 700.0, "no": 1200.0, "pain": 2000.0}


def make_set(folder: Path, count: int = 16, seed: int = 0) -> Path:
    """Write ``count`` recordings of one to three "words" and their manifest; returns the manifest."""
    rng = np.random.default_rng(seed)
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        words = [str(word) for word in rng.choice(list(WORDS), rng.integers(1, 4))]
        time = np.arange(RATE_HZ // 4) / RATE_HZ
        tones = [
            np.concatenate([0.3 * np.sin(2 * np.pi * WORDS[word] * time), np.zeros(RATE_HZ // 20)]) for word in words
        ]
        file = f"audio/{number}.wav"
        with wave.open(str(folder / file), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(RATE_HZ)
            out.writeframes((np.concatenate(tones) * 32767).astype("<i2").tobytes())
        rows.append(
            Utterance(f"u{number}", file, " ".join(words), "en" if number % 2 else "de", tags={"tier": "tones"})
        )
    write_manifest(folder / "manifest.jsonl", rows)
    return folder / "manifest.jsonl"
