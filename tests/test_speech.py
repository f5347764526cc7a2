from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from medstt.audio import read_audio
from medstt.speech import (
    FRAME,
    SegmentOptions,
    SpeechMeter,
    VoiceActivity,
    measure_speech,
    segment_speech,
    segment_stream,
)
from medstt.values import RATE_HZ, Segment

OPTIONS = SegmentOptions()
VOICES = {
    "flite": ("flite", "-voice", "slt", "-t", "{text}", "-o", "{path}"),
    "espeak": ("espeak-ng", "-v", "en-us", "{text}", "-w", "{path}"),
    "deutsch": ("espeak-ng", "-v", "de", "{text}", "-w", "{path}"),
}
SENTENCES = {
    "flite": (
        "The patient was given fifteen milligrams of ramipril in the morning.",
        "There is no evidence of pneumothorax or pleural effusion.",
        "Blood pressure is one hundred twenty over eighty.",
    ),
    "deutsch": (
        "Der Patient erhielt morgens fünfzehn Milligramm Ramipril.",
        "Kein Nachweis eines Pneumothorax oder eines Pleuraergusses.",
        "Der Blutdruck beträgt hundertzwanzig zu achtzig.",
    ),
}
SENTENCES["espeak"] = SENTENCES["flite"]


def speak(voice, text, folder, level=0.1):
    """Return one utterance without silence around it, at an RMS of ``level``, in whole windows."""
    command = VOICES[voice]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    path = folder / "spoken.wav"
    subprocess.run([part.format(text=text, path=path) for part in command], check=True, capture_output=True, timeout=60)
    samples = read_audio(path).samples
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    samples = samples[loud[0] : loud[-1]]
    samples = samples[: len(samples) // FRAME * FRAME]
    return (samples * (level / np.sqrt(np.mean(samples**2)))).astype(np.float32)


def pause(ms, hiss=0.0):
    count = ms * RATE_HZ // 1000 // FRAME * FRAME
    return np.random.default_rng(ms).normal(0, hiss, count).astype(np.float32) if hiss else np.zeros(count, np.float32)


def noise(count, rms, seed=2):
    return np.random.default_rng(seed).normal(0, rms, count).astype(np.float32)


def span(before, samples):
    """The place of ``samples`` that start after ``before`` samples."""
    return Segment(before * 1000 // RATE_HZ, (before + len(samples)) * 1000 // RATE_HZ)


def assert_covered(spoken, segments, slack_ms=40):
    """Every spoken span lies inside the segments together (they may meet inside it)."""
    for part in spoken:
        at = part.start_ms + slack_ms
        for segment in segments:
            if segment.start_ms <= at < segment.end_ms:
                at = segment.end_ms
        assert at >= part.end_ms - slack_ms, (part, segments)


def assert_well_formed(segments, duration_ms):
    assert all(0 <= s.start_ms < s.end_ms <= duration_ms for s in segments)
    assert all(a.end_ms <= b.start_ms for a, b in itertools.pairwise(segments))
    assert all(s.duration_ms <= OPTIONS.hard_ms for s in segments)


@pytest.fixture(scope="module", params=VOICES)
def dictation(request, tmp_path_factory):
    """Four rounds of three sentences with pauses of 0.5 s between sentences: (samples, spans of the sentences)."""
    folder = tmp_path_factory.mktemp("speech")
    sentences = [speak(request.param, text, folder) for text in SENTENCES[request.param]]
    parts, spans = [pause(700)], []
    for _ in range(4):
        for sentence in sentences:
            spans.append(span(sum(map(len, parts)), sentence))
            parts += [sentence, pause(500)]
    return np.concatenate(parts), spans


def conditions(samples):
    rms = 0.1
    return {
        "clean": samples,
        "-40 dB": samples * np.float32(0.01),
        "noise at 10 dB": samples + noise(len(samples), rms * 10**-0.5),
        "-40 dB, noise at 10 dB": np.float32(0.01) * (samples + noise(len(samples), rms * 10**-0.5)),
        "hum": samples + (0.05 * np.sin(2 * np.pi * 50 * np.arange(len(samples)) / RATE_HZ)).astype(np.float32),
    }


@pytest.mark.parametrize("condition", ["clean", "-40 dB", "noise at 10 dB", "-40 dB, noise at 10 dB", "hum"])
def test_a_dictation_becomes_phrases_and_nothing_is_lost(dictation, condition):
    samples, spans = dictation
    samples = conditions(samples)[condition]
    segments = segment_speech(samples)
    assert_well_formed(segments, len(samples) * 1000 // RATE_HZ)
    assert_covered(spans, segments)
    lengths = sorted(segment.duration_ms for segment in segments)
    assert 3_000 <= lengths[len(lengths) // 2] <= 12_000
    assert lengths[-1] <= OPTIONS.max_ms + 2 * OPTIONS.pad_ms
    # Every edge lies between sentences: no word is cut.
    if condition in {"clean", "-40 dB"}:
        for edge in [s.start_ms for s in segments] + [s.end_ms for s in segments]:
            assert not any(part.start_ms + 60 < edge < part.end_ms - 60 for part in spans), (edge, segments)


def test_long_pauses_are_left_out(dictation):
    samples, _ = dictation
    third = samples[: len(samples) // FRAME // 3 * FRAME]
    gap = pause(20_000, hiss=0.0005)
    segments = segment_speech(np.concatenate([third, gap, third]))
    middle = Segment(len(third) * 1000 // RATE_HZ + 700, (len(third) + len(gap)) * 1000 // RATE_HZ - 700)
    assert not any(s.start_ms < middle.end_ms and s.end_ms > middle.start_ms for s in segments)


@pytest.mark.parametrize("word", ["no", "left", "period"])
@pytest.mark.parametrize("level", [0.1, 0.001])
@pytest.mark.parametrize("hiss", [0.0, 0.3])
def test_a_single_short_word_is_kept(tmp_path, word, level, hiss):
    spoken = speak("flite", word, tmp_path, level)
    samples = np.concatenate([pause(3_000), spoken, pause(3_000)]) + noise(6_000 * 16, 0)[0]
    samples = samples + noise(len(samples), hiss * level)
    assert_covered([span(len(pause(3_000)), spoken)], segment_speech(samples), slack_ms=60)


def test_speech_that_starts_and_ends_with_the_file_is_kept(tmp_path):
    spoken = speak("espeak", "Blood pressure is normal", tmp_path)[: 51 * 300]
    assert segment_speech(spoken) == [Segment(0, len(spoken) * 1000 // RATE_HZ)]


def test_nobody_pauses_for_a_minute(tmp_path):
    text = "and then we went all along a long wall in May " * 12
    samples = speak("flite", text, tmp_path)
    samples = np.tile(samples, -(-60 * RATE_HZ // len(samples)))
    segments = segment_speech(samples)
    assert_well_formed(segments, len(samples) * 1000 // RATE_HZ)
    assert_covered([span(0, samples)], segments, slack_ms=100)
    level = np.array(
        [10 * np.log10(np.mean(f**2) + 1e-9) for f in samples[: len(samples) // 480 * 480].reshape(-1, 480)]
    )
    for cut in segments[:-1]:
        # Each cut is at a dip: quieter than four fifths of the speech.
        assert level[cut.end_ms // 30 - 1 : cut.end_ms // 30 + 2].min() < np.percentile(level, 20)


def test_a_tone_without_any_pause_is_cut_at_its_dip():
    """A stand-in for the probabilities of endless speech: the cut must find the one quiet moment."""
    from medstt import speech

    probabilities = np.full(900, 0.9, np.float32)
    levels = np.full(900, -20, np.float32)
    levels[600:603] = -50
    assert speech._find_cut(probabilities, levels, 0, OPTIONS, final=False) in {600, 601, 602}


def test_the_longest_pause_is_taken_at_the_limit():
    from medstt import speech

    probabilities = np.full(480, 0.9, np.float32)
    for start, length in ((150, 6), (250, 8), (350, 7)):
        probabilities[start : start + length] = 0.2
    levels = np.full(480, -20, np.float32)
    assert speech._find_cut(probabilities, levels, 0, OPTIONS, final=False) in range(250, 258)


def silence():
    return np.zeros(20 * RATE_HZ, np.float32)


def hiss_loud():
    return noise(20 * RATE_HZ, 0.1)


def hiss_quiet():
    return noise(20 * RATE_HZ, 0.001)


def brown():
    walk = np.cumsum(noise(20 * RATE_HZ, 1.0).astype(np.float64))
    walk -= np.convolve(walk, np.ones(4_000) / 4_000, mode="same")
    return (0.05 * walk / walk.std()).astype(np.float32)


def hum():
    return (0.2 * np.sin(2 * np.pi * 50 * np.arange(20 * RATE_HZ) / RATE_HZ)).astype(np.float32)


def breathing():
    soft = np.convolve(noise(20 * RATE_HZ, 1.0), np.hanning(20), mode="same")
    envelope = np.maximum(0, np.sin(2 * np.pi * 0.25 * np.arange(len(soft)) / RATE_HZ)) ** 2
    return (0.02 * soft / soft.std() * envelope).astype(np.float32)


def clicks():
    samples = noise(20 * RATE_HZ, 0.0005)
    samples[:: RATE_HZ // 2] = 0.8
    return samples


def music():
    random = np.random.default_rng(3)
    time = np.arange(20 * RATE_HZ) / RATE_HZ
    total = np.zeros(len(time))
    for beat in range(40):
        hz = 220 * 2 ** (random.integers(0, 24) / 12)
        decay = np.where(time > beat / 2, np.exp(-2 * (time - beat / 2)), 0)
        total += decay * sum(np.sin(2 * np.pi * hz * h * time) / h for h in range(1, 6))
    return (0.5 * total / np.abs(total).max()).astype(np.float32)


@pytest.mark.parametrize("make", [silence, hiss_loud, hiss_quiet, brown, hum, breathing, clicks, music])
def test_no_speech_no_segment(make):
    assert segment_speech(make()) == []


def test_nothing_at_all():
    assert segment_speech(np.zeros(0, np.float32)) == []
    assert segment_speech(np.zeros(100, np.float32)) == []
    assert measure_speech(np.zeros(0, np.float32)).speech_ms == 0


def test_the_stream_does_not_depend_on_its_blocks(dictation):
    samples, _ = dictation
    expected = segment_speech(samples)
    random = np.random.default_rng(9)
    for longest in (300, 40_000):
        edges = np.cumsum(random.integers(1, longest, 4 * len(samples) // longest + 10))
        pieces = list(segment_stream(np.split(samples, edges[edges < len(samples)])))
        assert [piece.segment for piece in pieces] == expected
        for piece in pieces:
            begin, end = piece.segment.start_ms * 16, piece.segment.end_ms * 16
            np.testing.assert_array_equal(piece.samples, samples[begin:end])
            assert not piece.samples.flags.writeable


def test_state_is_carried_across_calls(dictation):
    samples, _ = dictation
    samples = samples[: 200 * FRAME]
    whole = VoiceActivity()(samples)
    activity = VoiceActivity()
    parts = np.concatenate([activity(samples[i : i + 7 * FRAME]) for i in range(0, len(samples), 7 * FRAME)])
    np.testing.assert_allclose(parts, whole, atol=1e-4)
    assert whole.max() > 0.9


def test_a_phrase_comes_out_soon_after_its_pause(dictation):
    samples, _ = dictation
    consumed = 0

    def blocks():
        nonlocal consumed
        for start in range(0, len(samples), 8_000):
            consumed = min(len(samples), start + 8_000)
            yield samples[start : start + 8_000]

    for piece in segment_stream(blocks()):
        late_ms = consumed * 1000 // RATE_HZ - piece.segment.end_ms
        assert late_ms < OPTIONS.max_ms  # usually a second; a retrospective cut at most this
        assert late_ms < 3_500 or piece.segment.duration_ms > OPTIONS.min_ms


def assert_flat(samples, minutes):
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("reads memory use from /proc")
    rounds = -(-minutes * 60 * RATE_HZ // len(samples))
    seen = []
    for number, piece in enumerate(segment_stream(samples for _ in range(rounds))):
        assert piece.segment.duration_ms < OPTIONS.hard_ms
        if number % 10 == 9:
            seen.append(int(re.search(r"VmRSS:\s+(\d+) kB", status.read_text())[1]))
    assert len(seen) > 2
    assert max(seen) - seen[0] < 10_000


@pytest.fixture(scope="module")
def sentence(tmp_path_factory):
    return np.concatenate([speak("flite", SENTENCES["flite"][0], tmp_path_factory.mktemp("one")), pause(800)])


def test_memory_is_flat_over_six_minutes(sentence):
    assert_flat(sentence, 6)


@pytest.mark.slow
def test_memory_is_flat_over_an_hour(sentence):
    assert_flat(sentence, 60)


def test_statistics(dictation):
    samples, spans = dictation
    spoken_ms = sum(part.duration_ms for part in spans)
    clean = measure_speech(samples)
    assert clean.duration_ms == len(samples) * 1000 // RATE_HZ
    assert 0.7 * spoken_ms < clean.speech_ms <= 1.1 * spoken_ms
    assert clean.level_dbfs == pytest.approx(-20, abs=1.5)
    assert clean.clipped_share < 1e-4
    for snr in (5, 10, 20, 30):
        noisy = measure_speech(samples + noise(len(samples), 0.1 * 10 ** (-snr / 20)))
        assert noisy.snr_db == pytest.approx(snr, abs=2.5)
    assert measure_speech(samples * np.float32(0.01)).level_dbfs == pytest.approx(-60, abs=2)
    loud = measure_speech(np.clip(30 * samples, -1, 1))
    assert loud.clipped_share > 0.1
    assert measure_speech(silence()).level_dbfs is None
    assert measure_speech(silence()).snr_db is None


def test_the_meter_listens_while_the_stream_is_cut(dictation):
    samples, _ = dictation
    meter = SpeechMeter()
    pieces = list(segment_stream([samples], meter=meter))
    assert meter.statistics() == measure_speech(samples)
    assert [piece.segment for piece in pieces] == segment_speech(samples)


def test_the_model_ships_with_its_licence():
    from importlib.resources import files

    data = files("medstt") / "data"
    assert data.joinpath("silero_vad.onnx").is_file()
    assert "MIT License" in data.joinpath("silero_vad.LICENSE").read_text(encoding="utf-8")
