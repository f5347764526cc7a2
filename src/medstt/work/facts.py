"""What learning and drift detection need later, measured on each dictation while its sound is at hand; no words.

Knows nothing of where the facts are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from medstt.values import RATE_HZ, Audio, Document, Samples, Transcript

FRAME = RATE_HZ // 50  # 20 ms
CLIPPED = 0.99
FLOOR = 1e-10

Known = Callable[[Sequence[str]], int]  # how many of the words a lexicon covers


def signal_to_noise_db(samples: Samples) -> float | None:
    """Return how far the loud frames (95th percentile of 20 ms powers) lie above the quiet ones (10th), in dB.

    A rough figure without a speech detector: comparable between recordings, not with laboratory values. None for less
    than a second.
    """
    count = len(samples) // FRAME
    if count < 50:
        return None
    power = np.mean(samples[: count * FRAME].reshape(count, FRAME) ** 2, axis=1)
    quiet, loud = np.percentile(power, [10, 95])
    return round(10 * math.log10((float(loud) + FLOOR) / (float(quiet) + FLOOR)), 1)


def measure(
    audio: Audio, transcript: Transcript, document: Document, known: Known, digests: dict[str, str]
) -> dict[str, object]:
    """Return the facts of one dictation; shares are 0-1, log-probabilities natural and per token.

    ``digests`` names vocabulary, formatter and settings that made it.
    """
    words = [word.text for word in transcript.words]
    minutes = transcript.duration_ms / 60_000
    heard = transcript.hypotheses
    samples = audio.samples
    return {
        "model": {"name": transcript.model.name, "digest": transcript.model.digest},
        "settings_digest": transcript.settings_digest,
        **digests,
        "language": transcript.language,
        "words": len(words),
        "mean_logprob": _mean([one.logprob for one in heard]),
        "mean_confidence": _mean([word.confidence for word in transcript.words]),
        "max_no_speech": max((round(one.no_speech, 4) for one in heard), default=None),
        "out_of_lexicon_share": round(1 - known(words) / len(words), 4) if words else None,
        "words_per_minute": round(len(words) / minutes, 1) if minutes else None,
        "snr_db": signal_to_noise_db(samples),
        "clipped_share": round(float(np.mean(np.abs(samples) >= CLIPPED)), 6) if len(samples) else None,
        "flags": len(document.flags),
        "critical_flags": sum(flag.severity == "critical" for flag in document.flags),
        "warnings": len(transcript.warnings),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
