"""Voices speak; held-out ones are never among those for training."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from medstt.errors import ModelUnavailable, OptionError
from medstt.synth.grammar import Sentence
from medstt.synth.voice import HELD_OUT_VARIANTS, Prosody, Speaker, Voice, held_out_voices, training_voices
from medstt.values import LANGUAGES, RATE_HZ

SAY = Sentence("no fever today", "no fever today", "en")
TONE = """
import math, struct, sys, wave
text, out, voice = sys.stdin.read(), sys.argv[1], sys.argv[2]
rate = 8000 if voice == "low" else 16000
with wave.open(out, "wb") as wav:
    wav.setnchannels(1); wav.setsampwidth(2); wav.setframerate(rate)
    count = rate * len(text) // 20
    wav.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(i / 9))) for i in range(count)))
"""


def test_no_held_out_voice_is_trained_on() -> None:
    for lang in LANGUAGES:
        train = {voice.id for voice in training_voices(lang, flite=True)}
        held = held_out_voices(lang)
        assert train.isdisjoint(voice.id for voice in held)
        assert all(voice.name.partition("+")[2] not in HELD_OUT_VARIANTS for voice in training_voices(lang))
        assert {voice.tier for voice in training_voices(lang, flite=True)} == {"trained"}
        assert "trained" not in {voice.tier for voice in held}


def test_espeak_speaks_text_and_phonemes() -> None:
    pytest.importorskip("espeakng_loader")
    voice = Voice("espeak", "en-us+m1", "en")
    with Speaker() as speaker:
        plain = speaker.speak(SAY, voice, Prosody())
        slow = speaker.speak(SAY, voice, Prosody(rate=100))
        bracket = speaker.speak(Sentence("", "no [[ fever", "en"), voice, Prosody())
        spelled = speaker.speak(Sentence("", "no fever", "en", phonemes="no [[f'i:v3]]"), voice, Prosody())
        with pytest.raises(OptionError, match="no voice"):
            speaker.speak(SAY, Voice("espeak", "xx+nobody", "en"), Prosody())
    with Speaker() as speaker:  # what was said before changes a few samples, so the same order is needed
        again = speaker.speak(SAY, voice, Prosody())
    assert 0.4 < len(plain) / RATE_HZ < 3
    assert len(slow) > 1.2 * len(plain)
    assert all(len(samples) > RATE_HZ // 5 for samples in (bracket, spelled))
    np.testing.assert_array_equal(plain, again)


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_flite_is_never_handed_phonemes() -> None:
    with Speaker() as speaker:
        voice = Voice("flite", "slt", "en")
        plain = speaker.speak(SAY, voice, Prosody())
        same = speaker.speak(Sentence(SAY.text, SAY.speech, "en", phonemes="[[xyz]]"), voice, Prosody())
    assert len(plain) > RATE_HZ // 2
    np.testing.assert_array_equal(plain, same)


def test_a_program_of_ones_own_speaks(tmp_path: Path) -> None:
    (tmp_path / "say.py").write_text(TONE)
    command = f"{sys.executable} {tmp_path / 'say.py'} {{out}} {{voice}}"
    with Speaker(command) as speaker:
        low = speaker.speak(SAY, Voice("command", "low", "en"), Prosody())
        high = speaker.speak(SAY, Voice("command", "high", "en"), Prosody())
    assert abs(len(low) - len(high)) < 50
    assert len(high) == RATE_HZ * len(SAY.speech) // 20


def test_programs_that_fail_are_named() -> None:
    voice = Voice("command", "en", "en")
    with Speaker() as speaker, pytest.raises(OptionError, match="--voice-command"):
        speaker.speak(SAY, voice, Prosody())
    with Speaker("no-such-program {out}") as speaker, pytest.raises(ModelUnavailable, match="not installed"):
        speaker.speak(SAY, voice, Prosody())
    stop = f"{sys.executable} -c 'import sys; sys.exit(3)'"
    with Speaker(stop) as speaker, pytest.raises(ModelUnavailable, match="exit 3"):
        speaker.speak(SAY, voice, Prosody())
    write = f"""{sys.executable} -c 'open("{{out}}", "w").write("no sound")'"""
    with Speaker(write) as speaker, pytest.raises(ModelUnavailable, match="no WAV"):
        speaker.speak(SAY, voice, Prosody())
