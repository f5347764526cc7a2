"""Make the sample dictations: our own sentences, voices that no training set holds, one container format each.

Run from the repository's root in the environment of scripts/test: python samples/make.py
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from medstt.manifest import write_manifest
from medstt.synth.grammar import Sentence
from medstt.synth.make import trim
from medstt.synth.voice import Prosody, Speaker, Voice
from medstt.values import RATE_HZ, Samples, Utterance

FOLDER = Path(__file__).parent
CODECS = {
    "wav": ("pcm_s16le", 16_000),
    "mp3": ("libmp3lame", 16_000),
    "m4a": ("aac", 16_000),
    "opus": ("libopus", 16_000),
    "webm": ("libopus", 48_000),
}

# (file, voice, words a minute, sentences); a pause of 0.6 s after each sentence
SAMPLES = [
    ("radiology-en.wav", Voice("flite", "rms", "en"), 160, [
        "findings colon the heart is normal in size period", "there is no pleural effusion and no pneumothorax period",
        "the left lung is clear period", "impression colon no acute findings period",
    ]),
    ("cardiology-en.m4a", Voice("flite", "awb", "en"), 160, [
        "the patient reports chest pain for three days period", "blood pressure one hundred forty over ninety period",
        "metoprolol forty seven point five milligrams twice daily period", "follow up in two weeks period",
    ]),
    ("discharge-en.mp3", Voice("espeak", "en-us+f4", "en"), 160, [
        "the patient was discharged in stable condition period", "bisoprolol five milligrams once daily period",
        "ramipril two point five milligrams in the evening period", "no known drug allergies period",
    ]),
    ("surgery-en.opus", Voice("espeak", "en-us+m5", "en"), 165, [
        "status post appendectomy period", "the incision is clean dry and intact period",
        "the patient denies fever and abdominal pain period",
    ]),
    ("befund-de.webm", Voice("espeak", "de+f4", "de"), 160, [
        "Befund Doppelpunkt das Herz ist normal groß Punkt", "kein Hinweis auf einen Pleuraerguss Punkt",
        "die linke Lunge ist frei Punkt", "Beurteilung Doppelpunkt unauffälliger Befund Punkt",
    ]),
    ("arztbrief-de.mp3", Voice("espeak", "de+m5", "de"), 160, [
        "der Patient klagt über Brustschmerzen seit drei Tagen Punkt", "Blutdruck hundertvierzig zu neunzig Punkt",
        "Metoprolol siebenundvierzig Komma fünf Milligramm eins null eins Punkt", "Kontrolle in zwei Wochen Punkt",
    ]),
    ("entlassung-de.wav", Voice("espeak", "de+Annie", "de"), 160, [
        "die Patientin wurde in gutem Allgemeinzustand entlassen Punkt",
        "Bisoprolol fünf Milligramm einmal täglich Punkt",
        "keine bekannten Allergien Punkt",
    ]),
]  # fmt: skip


def write_audio(path: Path, samples: Samples) -> None:
    """Encode to the format of the suffix, mono, 24 kbit/s where it is compressed."""
    codec, rate_hz = CODECS[path.suffix[1:]]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate_hz, layout="mono")
        if codec != "pcm_s16le":
            stream.bit_rate = 24_000
        resampler = av.AudioResampler(
            stream.format, "mono", rate_hz, frame_size=stream.codec_context.frame_size or 1024
        )
        frame = av.AudioFrame.from_ndarray((np.clip(samples, -1, 1) * 32767).astype("<i2")[None], "s16", "mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE_HZ, Fraction(1, RATE_HZ), 0
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(stream.encode(piece))


def main() -> None:
    """Write every sample and their manifest."""
    pause = np.zeros(RATE_HZ * 6 // 10, np.float32)
    utterances = []
    with Speaker() as speaker:
        for file, voice, rate, sentences in SAMPLES:
            parts = [
                trim(speaker.speak(Sentence(text, text, voice.lang), voice, Prosody(rate=rate))) for text in sentences
            ]
            samples = np.concatenate([piece for part in parts for piece in (part, pause)])
            write_audio(FOLDER / file, samples)
            tags = {"tier": voice.tier, "voice": voice.id}
            utterances.append(Utterance(file.split(".")[0], file, " ".join(sentences), voice.lang, speaker=voice.id,
                                        split="test", tags=tags))  # fmt: skip
    write_manifest(FOLDER / "references.jsonl", utterances)


if __name__ == "__main__":
    main()
