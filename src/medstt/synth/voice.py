"""Voices: who speaks synthetic sentences, which voices are held out, and how each engine is called.

Engines: espeak-ng (a process of its own), flite (its program), any command line. Knows nothing of grammars or
manifests.
"""

from __future__ import annotations

import json
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from types import TracebackType

import numpy as np
import scipy.signal

from medstt.errors import ModelUnavailable, OptionError
from medstt.synth.grammar import Sentence
from medstt.values import RATE_HZ, Language, Samples

# Variants kept out of every training set: they measure unseen voices of a trained engine and foreign engines.
HELD_OUT_VARIANTS = ("f4", "m5", "Annie")
HELD_OUT_FLITE = ("rms", "awb")
ESPEAK_VARIANTS = (
    "m1", "m2", "m3", "m4", "m6", "m7", "m8", "f1", "f2", "f3", "f5", "Alex", "Andrea", "Andy", "Alicia", "adam",
    "anika", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward", "Gene", "grandma", "grandpa",
    "john", "kaukovalta", "klatt2", "klatt4", "Lee", "linda", "marcelo", "max", "Mike", "norbert", "paul",
    "quincy", "rob", "robert", "sandro", "shelby", "steph", "steph2", "travis", "victor", "zac",
)  # fmt: skip
ESPEAK_ACCENTS: dict[str, tuple[str, ...]] = {
    "en": ("en-us", "en-us", "en-us", "en-gb-x-rp", "en-gb-x-rp", "en-gb-scotland"),
    "de": ("de",),
}
NORMAL_RATE = 165  # words a minute
FLITE_VOICES = ("slt", "kal", "kal16")


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice: its engine ("espeak", "flite" or "command"), the engine's name for it, and its language."""

    engine: str
    name: str
    lang: Language

    @property
    def id(self) -> str:
        """Unique name, as manifests record it: engine:name."""
        return f"{self.engine}:{self.name}"

    @property
    def tier(self) -> str:
        """Which tier a figure on this voice belongs to.

        "trained", "unseen variant" (of a trained engine), "foreign engine", or "own engine" for --voice-command.
        """
        if self.engine == "command":
            return "own engine"
        if self.engine == "espeak":
            return "unseen variant" if self.name.partition("+")[2] in HELD_OUT_VARIANTS else "trained"
        return "trained" if self.engine == "flite" and self.name in FLITE_VOICES else "foreign engine"


@dataclass(frozen=True, slots=True)
class Prosody:
    """How fast and high to speak: words a minute (espeak), pitch 0-100, pitch range 0-100, gap in 10 ms units."""

    rate: int = NORMAL_RATE
    pitch: int = 50
    range: int = 50
    gap: int = 0


def training_voices(lang: Language, *, flite: bool | None = None) -> list[Voice]:
    """Return the voices that training may use; flite's (English) only where its program is installed."""
    accents = ESPEAK_ACCENTS[lang]
    voices = [Voice("espeak", f"{accent}+{variant}", lang) for accent in accents for variant in ESPEAK_VARIANTS]
    if lang == "en" and (shutil.which("flite") is not None if flite is None else flite):
        voices += [Voice("flite", name, lang) for name in FLITE_VOICES for _ in range(len(voices) // 30)]
    return voices


def held_out_voices(lang: Language) -> list[Voice]:
    """Return the voices that no training set may hold: unseen variants, then (English) the foreign engine."""
    accent = ESPEAK_ACCENTS[lang][0]
    voices = [Voice("espeak", f"{accent}+{variant}", lang) for variant in HELD_OUT_VARIANTS]
    return voices + ([Voice("flite", name, lang) for name in HELD_OUT_FLITE] if lang == "en" else [])


def command_voices(lang: Language, names: Sequence[str]) -> list[Voice]:
    """Return the voices of a program of the user's own; without names it has one voice, which is told the language."""
    return [Voice("command", name, lang) for name in names or [lang]]


def resample(pcm: bytes, rate_hz: int) -> Samples:
    """Convert 16-bit PCM at ``rate_hz`` to float32 at 16 kHz."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768.0
    if rate_hz == RATE_HZ:
        return samples
    divisor = gcd(RATE_HZ, rate_hz)
    resampled = scipy.signal.resample_poly(samples, RATE_HZ // divisor, rate_hz // divisor)
    return np.asarray(resampled, dtype=np.float32)


def read_wav(path: Path, program: str) -> Samples:
    """Read what a program spoke as float32 at 16 kHz, mono; raises ModelUnavailable for what is not 16-bit PCM."""
    try:
        with wave.open(str(path), "rb") as speech:
            if speech.getsampwidth() != 2 or speech.getnchannels() != 1:
                raise wave.Error("not 16-bit mono")
            return resample(speech.readframes(speech.getnframes()), speech.getframerate())
    except (wave.Error, EOFError) as error:
        remedy = "Let it write 16-bit mono WAV to {out}"
        raise ModelUnavailable(f"{program} wrote no WAV that can be used ({error})", remedy) from error


class Speaker:
    """Speaks text with any voice; holds the espeak-ng process. Use as a context manager, one per process."""

    def __init__(self, command: str | None = None) -> None:
        """``command`` speaks voices of engine "command": text on stdin, a WAV at {out}, e.g. Piper's program.

        {voice}, {lang} and {tempo} (1.0 is normal) stand for what the recipe chose.
        """
        self._command = command
        self._espeak: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Speaker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._espeak is not None:
            self._espeak.communicate()
            self._espeak = None

    def speak(self, sentence: Sentence, voice: Voice, prosody: Prosody) -> Samples:
        """Return speech at 16 kHz; raises OptionError (unknown voice) or ModelUnavailable (engine missing).

        Only espeak-ng is handed phonemes; it reads plain text without them.
        """
        text = sentence.speech
        if voice.engine == "espeak":
            # "[[" in plain text would switch espeak-ng to phonemes.
            return self._speak_espeak(sentence.phonemes or text.replace("[[", " "), voice, prosody)
        if voice.engine == "flite":
            stretch = NORMAL_RATE / prosody.rate
            # Pitch is left alone: flite's parameter for it is in hertz, and each voice has its own.
            arguments = ["flite", "-voice", voice.name, "--setf", f"duration_stretch={stretch:.3f}", "-t", text, "-o"]
            return self._speak_program([*arguments, "{out}"], None)
        if self._command is None:
            raise OptionError(f"no program is given for the voice {voice.id}", "Pass --voice-command")
        chosen = {"voice": voice.name, "lang": voice.lang, "tempo": f"{prosody.rate / NORMAL_RATE:.2f}"}
        arguments = shlex.split(self._command)
        for name, value in chosen.items():
            arguments = [argument.replace(f"{{{name}}}", value) for argument in arguments]
        return self._speak_program(arguments, text)

    def _speak_espeak(self, text: str, voice: Voice, prosody: Prosody) -> Samples:
        if self._espeak is None:
            self._espeak = subprocess.Popen(
                [sys.executable, "-m", "medstt.synth.espeak"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        assert self._espeak.stdin is not None
        assert self._espeak.stdout is not None
        parameters = {"rate": prosody.rate, "pitch": prosody.pitch, "range": prosody.range, "wordgap": prosody.gap}
        request = {"text": text, "voice": voice.name, "parameters": parameters}
        self._espeak.stdin.write(json.dumps(request).encode() + b"\n")
        self._espeak.stdin.flush()
        header = self._espeak.stdout.read(12)
        if len(header) < 12:
            raise ModelUnavailable("the espeak-ng process ended", "Install the extra: pip install 'medstt[train]'")
        size, rate_hz, status = struct.unpack("<III", header)
        payload = self._espeak.stdout.read(size)
        if status:
            raise OptionError(payload.decode(), "See `espeak-ng --voices=variant`")
        return resample(payload, rate_hz)

    def _speak_program(self, arguments: list[str], text: str | None) -> Samples:
        if shutil.which(arguments[0]) is None:
            raise ModelUnavailable(f"the program {arguments[0]!r} is not installed", f"Install {arguments[0]}")
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "speech.wav"
            call = [argument.replace("{out}", str(out)) for argument in arguments]
            run = subprocess.run(call, input=(text or "").encode(), capture_output=True, check=False)
            if run.returncode != 0 or not out.exists():
                said = run.stderr.decode(errors="replace").strip()[-200:]
                raise ModelUnavailable(f"{arguments[0]} wrote no speech (exit {run.returncode})", said)
            return read_wav(out, arguments[0])
