"""Recordings in which nobody speaks: silence, hiss, hum, clicks, breathing-like noise. Made from a seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from medstt.evaluate.clip import write_wav
from medstt.manifest import write_manifest
from medstt.values import RATE_HZ, Samples, Utterance

Maker = Callable[[int, np.random.Generator], Samples]


def _silence(count: int, rng: np.random.Generator) -> Samples:
    return np.zeros(count, np.float32)


def _hiss(count: int, rng: np.random.Generator) -> Samples:
    return rng.standard_normal(count).astype(np.float32)


def _rumble(count: int, rng: np.random.Generator) -> Samples:
    walk = np.cumsum(rng.standard_normal(count))
    return (walk - np.convolve(walk, np.ones(801) / 801, mode="same")).astype(np.float32)


def _hum(count: int, rng: np.random.Generator) -> Samples:
    time = np.arange(count) / RATE_HZ
    base = rng.choice([50.0, 60.0])
    tones = sum(np.sin(2 * np.pi * base * k * time + rng.uniform(0, 6)) / k for k in (1, 2, 3, 5))
    return np.asarray(tones, dtype=np.float32)


def _clicks(count: int, rng: np.random.Generator) -> Samples:
    samples = np.zeros(count, np.float32)
    decay = np.exp(-np.arange(320) / rng.uniform(15, 60)).astype(np.float32)
    for start in rng.integers(0, max(1, count - 320), rng.integers(3, 25)):
        samples[start : start + 320] += decay * rng.choice([-1.0, 1.0]) * rng.standard_normal(320).astype(np.float32)
    return samples


def _breath(count: int, rng: np.random.Generator) -> Samples:
    period = rng.uniform(2.5, 4.5)
    envelope = np.maximum(0.0, np.sin(2 * np.pi * np.arange(count) / RATE_HZ / period)) ** 2
    noise = np.convolve(rng.standard_normal(count), np.ones(6) / 6, mode="same")
    return (envelope * noise).astype(np.float32)


MAKERS: dict[str, Maker] = {
    "silence": _silence, "hiss": _hiss, "rumble": _rumble, "hum": _hum, "clicks": _clicks, "breath": _breath,
}  # fmt: skip


def make_nonspeech(folder: Path, count: int, seconds: float, seed: int) -> Path:
    """Make ``count`` recordings, half to one and a half times ``seconds`` long, and return their manifest.

    Their references are empty; tag ``noise`` says what is heard. Every other one is asked for in German.
    """
    manifest = folder / "manifest.jsonl"
    if manifest.exists():
        return manifest
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    utterances = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        kind = list(MAKERS)[number % len(MAKERS)]
        samples = MAKERS[kind](int(seconds * rng.uniform(0.5, 1.5) * RATE_HZ), rng)
        peak = float(np.abs(samples).max(initial=0.0))
        level = 10 ** (rng.uniform(-40, -6) / 20)
        path = folder / "audio" / f"{kind}-{number:05d}.wav"
        write_wav(path, samples / peak * level if peak else samples)
        utterances.append(
            Utterance(f"{kind}-{number:05d}", f"audio/{path.name}", "", ("en", "de")[number // len(MAKERS) % 2],
                      split="test", tags={"tier": "noise", "noise": kind})
        )  # fmt: skip
    write_manifest(manifest, utterances)
    return manifest
