"""What can be measured of one utterance: length, level, clipping, signal over background, speed of speech, its words.

Knows nothing of limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medstt.audio import read_audio
from medstt.errors import AudioError
from medstt.values import RATE_HZ, Audio, Language, Samples, Utterance

FRAME = RATE_HZ // 50
FULL_SCALE = 0.999
MAX_SNR_DB = 90.0  # that of 16 bits, for backgrounds of digital silence
LEAST_POWER = 1e-9
SPEECH_BELOW_PEAK_DB = 30.0

# Words that hardly any sentence of the language does without, and that the other language does not have.
FUNCTION_WORDS: dict[Language, frozenset[str]] = {
    "en": frozenset("the of and to with is for no there by this that are at from was has on".split()),
    "de": frozenset(
        "der die das und mit ist für kein keine nicht im ein eine bei von zum zur den dem auf wurde".split()
    ),
}
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ'’-]+")


@dataclass(frozen=True, slots=True)
class Measures:
    """One utterance, measured; ``error`` says why there are no figures. Levels in dB, lengths in ms."""

    error: str = ""
    digest: str = ""
    duration_ms: int = 0
    whole_ms: int = 0
    peak_dbfs: float = 0.0
    clipping: float = 0.0
    snr_db: float = 0.0
    speech_ms: int = 0
    warnings: tuple[str, ...] = field(default=())


def cut(audio: Audio, utterance: Utterance) -> Samples:
    """Return the samples between an utterance's times."""
    end = None if utterance.end_ms is None else utterance.end_ms * RATE_HZ // 1000
    return audio.samples[utterance.start_ms * RATE_HZ // 1000 : end]


def measure_utterance(folder: Path, utterance: Utterance) -> Measures:
    """Decode and measure one utterance; what cannot be decoded comes back with ``error``."""
    try:
        audio = read_audio(folder / utterance.audio)
    except AudioError as error:
        return Measures(error=str(error))
    samples = cut(audio, utterance)
    if len(samples) < FRAME:
        return Measures(digest=audio.digest, whole_ms=audio.duration_ms)
    powers = frame_powers(samples)
    speech = powers > powers.max() / 10 ** (SPEECH_BELOW_PEAK_DB / 10)
    peak = float(np.abs(samples).max())
    return Measures(
        digest=audio.digest,
        duration_ms=len(samples) * 1000 // RATE_HZ,
        whole_ms=audio.duration_ms,
        peak_dbfs=round(20 * float(np.log10(max(peak, 1e-6))), 1),
        clipping=round(float(np.mean(np.abs(samples) >= FULL_SCALE)), 5),
        snr_db=round(estimate_snr_db(powers), 1),
        speech_ms=int(speech.sum()) * 1000 * FRAME // RATE_HZ,
        warnings=audio.warnings,
    )


def frame_powers(samples: Samples) -> Samples:
    """Return the mean power of frames of 20 ms, shape (frames,)."""
    count = len(samples) // FRAME
    frames = samples[: count * FRAME].reshape(count, FRAME)
    return np.asarray(np.maximum(np.mean(np.square(frames), axis=1), LEAST_POWER), dtype=np.float32)


def estimate_snr_db(powers: Samples) -> float:
    """Estimate speech over background from frame powers: the loud tenth against the quiet tenth.

    Clips cut tightly around speech have no pause, so for them this is a lower bound.
    """
    quiet, loud = np.percentile(powers, (10, 90))
    return float(min(MAX_SNR_DB, 10 * np.log10(max(LEAST_POWER, loud - quiet) / max(LEAST_POWER, quiet))))


def count_words(text: str) -> int:
    """Return the number of words; digits written out count as one word each group."""
    return len(re.findall(r"\w+", text))


def foreign_letters(text: str) -> bool:
    """Tell whether a text has letters of another script than the Latin one."""
    return any(not _LATIN.fullmatch(word) for word in _WORD.findall(text))


def likely_language(text: str) -> Language | None:
    """Return the language whose function words prevail clearly; None where too few say anything."""
    words = [word.lower() for word in _WORD.findall(text)]
    counts = {lang: sum(word in known for word in words) for lang, known in FUNCTION_WORDS.items()}
    best, other = sorted(counts, key=lambda lang: counts[lang], reverse=True)[:2]
    return best if counts[best] >= 3 and counts[best] >= 3 * counts[other] else None
