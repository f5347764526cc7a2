from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
from recordings import KINDS, Endless, Kind, amr, encode, float_wav, gsm_wav, tone, video_with_sound, wav_header, write

from medstt.audio import digest_recording, open_audio, probe, read_audio
from medstt.errors import EmptyAudio, UnreadableAudio
from medstt.values import RATE_HZ

SECONDS = 1.5
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory use from /proc")


def pitch_hz(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE_HZ / len(samples))


def level_db(samples):
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def levels_of_middle(audio):
    middle = audio.samples[len(audio.samples) // 4 : 3 * len(audio.samples) // 4]
    return pitch_hz(middle), level_db(middle)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_of_file_becomes_the_same_sound(kind):
    source = tone(SECONDS, kind.rate_hz)
    audio = read_audio(encode(np.stack([source] * kind.channels), kind), f"r.{kind.suffix}")
    assert audio.rate_hz == RATE_HZ
    assert audio.samples.dtype == np.float32
    assert audio.warnings == ()
    # Lossy codecs add a frame of padding at either end.
    assert audio.duration_ms == pytest.approx(SECONDS * 1000, abs=130)
    hz, db = levels_of_middle(audio)
    assert hz == pytest.approx(440, abs=3)
    assert db == pytest.approx(level_db(source), abs=0.6)


@pytest.mark.parametrize(("name", "data"), [("r.wav", gsm_wav(2)), ("r.amr", amr(2))], ids=["gsm", "amr"])
def test_telephone_codecs_decode_in_full(name, data):
    audio = read_audio(data, name)
    assert audio.duration_ms == pytest.approx(2000, abs=40)
    assert level_db(audio.samples) > -60


def test_pcm_is_bit_exact():
    pcm = np.random.default_rng(1).integers(-30_000, 30_000, 20_000).astype("<i2")
    audio = read_audio(wav_header(40_000) + pcm.tobytes())
    np.testing.assert_array_equal(audio.samples, pcm.astype(np.float32) / 32768)


def test_resampling_keeps_speech_and_removes_what_would_alias():
    low = read_audio(float_wav(tone(1, 48_000, hz=3_000), 48_000))
    high = read_audio(float_wav(tone(1, 48_000, hz=9_000), 48_000))
    assert level_db(low.samples) == pytest.approx(level_db(tone(1, hz=3_000)), abs=0.1)
    assert level_db(high.samples[800:-800]) < -60


def test_blocks_join_to_the_whole_and_are_read_only():
    data = encode(tone(5.3, 44_100)[np.newaxis], Kind("flac", "flac", 44_100))
    with open_audio(data) as stream:
        blocks = list(stream)
        assert stream.duration_ms == 5_300
        assert stream.digest == hashlib.sha256(data).hexdigest()
    assert len(blocks) > 4
    assert all(not block.flags.writeable and block.dtype == np.float32 for block in blocks)
    whole = read_audio(data)
    np.testing.assert_array_equal(np.concatenate(blocks), whole.samples)
    assert not whole.samples.flags.writeable


def test_path_bytes_handle_and_pipe_give_the_same(tmp_path):
    path = write(tmp_path, "a.wav", float_wav(tone(0.5)))
    audio = read_audio(path)
    assert audio.digest == digest_recording(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert audio.source == "a.wav"
    with path.open("rb") as handle:
        again = read_audio(handle)
        assert not handle.closed
    pipe = io.BytesIO(path.read_bytes())
    pipe.seekable = lambda: False  # type: ignore[method-assign]
    for other in (again, read_audio(pipe), read_audio(path.read_bytes())):
        assert other.digest == audio.digest
        np.testing.assert_array_equal(other.samples, audio.samples)
    assert read_audio(path.read_bytes(), "visit 7").source == "visit 7"


def test_probe_tells_length_where_the_header_does():
    sound = tone(2)[np.newaxis]
    flac = probe(encode(sound, Kind("flac", "flac")), "a.flac")
    assert (flac.container, flac.codec, flac.rate_hz, flac.channels, flac.duration_ms) == (
        "flac",
        "flac",
        16_000,
        1,
        2_000,
    )
    browser = Kind("webm", "libopus", 48_000, 1, "webm", (("live", "1"),))
    assert probe(encode(tone(2, 48_000)[np.newaxis], browser)).duration_ms is None
    adts = Kind("aac", "aac", 16_000, 1, "adts")
    assert probe(encode(sound, adts)).duration_ms is None  # FFmpeg would only guess


def test_sound_shorter_than_its_video_is_not_called_cut_short():
    assert read_audio(video_with_sound(tone(2)), "visit.mp4").warnings == ()


@pytest.mark.parametrize(
    "kind",
    [
        Kind("wav", "pcm_s16le"),
        Kind("wav", "pcm_mulaw", 8_000),
        Kind("mp3", "libmp3lame", 44_100, bit_rate=64_000),
        Kind("m4a", "aac", 16_000, 1, "ipod", (("movflags", "+faststart"),), 48_000),
        Kind("flac", "flac"),
        Kind("webm", "libopus", 48_000, 1, "webm"),
        Kind("aiff", "pcm_s16be"),
    ],
    ids=str,
)
def test_a_file_that_breaks_off_keeps_what_is_there_and_says_so(kind):
    data = encode(tone(10, kind.rate_hz)[np.newaxis], kind)
    audio = read_audio(data[: len(data) * 6 // 10], f"r.{kind.suffix}")
    assert 4_500 < audio.duration_ms < 6_500
    assert audio.warnings[0].startswith("cut short: ")
    assert audio.warnings[0].endswith("of 10.0 seconds")
    assert levels_of_middle(audio)[0] == pytest.approx(440, abs=3)


def test_a_wav_written_to_a_pipe_is_not_called_cut_short():
    samples = (tone(1) * 32767).astype("<i2").tobytes()
    for declared in (0xFFFF_FFFF, 0x7FFF_F000, 0):
        audio = read_audio(wav_header(declared) + samples)
        assert audio.duration_ms == 1_000
        assert audio.warnings == ()


def test_damage_in_the_middle_is_passed_over_and_counted():
    data = bytearray(encode(tone(10, 44_100)[np.newaxis], Kind("m4a", "aac", 44_100, 1, "ipod", bit_rate=96_000)))
    middle = len(data) // 2
    data[middle : middle + 3_000] = bytes(255 for _ in range(3_000))
    audio = read_audio(bytes(data))
    assert audio.duration_ms > 9_000
    assert any(warning.startswith("damaged: ") for warning in audio.warnings)


def test_a_change_of_rate_in_mid_stream_is_followed():
    slow = encode(tone(2, 22_050)[np.newaxis], Kind("mp3", "libmp3lame", 22_050, options=(("write_xing", "0"),)))
    fast = encode(tone(2, 44_100)[np.newaxis], Kind("mp3", "libmp3lame", 44_100, options=(("write_xing", "0"),)))
    audio = read_audio(slow + fast)
    assert audio.duration_ms == pytest.approx(4_000, abs=250)
    assert pitch_hz(audio.samples[:24_000]) == pytest.approx(440, abs=3)
    assert pitch_hz(audio.samples[-24_000:]) == pytest.approx(440, abs=3)


@needs_proc
def test_an_hour_passes_in_flat_memory():
    assert_flat(hours=1)


@needs_proc
@pytest.mark.slow
def test_twelve_hours_pass_in_flat_memory():
    assert_flat(hours=12)


def resident_kib():
    # Not ru_maxrss: an earlier test's peak would hide any growth.
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


def assert_flat(hours):
    with open_audio(Endless(hours), "long.wav") as stream:
        seen = [resident_kib() for number, _ in enumerate(stream) if number % 60 == 59]
        assert stream.duration_ms == hours * 3_600_000
        assert stream.warnings == ()
        assert len(stream.digest) == 64
    assert max(seen) - seen[0] < 10_000


def test_a_stream_is_read_once_and_knows_its_digest_at_the_end():
    with open_audio(float_wav(tone(1))) as stream:
        with pytest.raises(ValueError, match="after the last block"):
            assert stream.digest
        list(stream)
        with pytest.raises(ValueError, match="once"):
            list(stream)


def test_a_file_that_vanishes_or_is_forbidden(tmp_path):
    with pytest.raises(UnreadableAudio, match=r"gone\.wav: cannot be read \(No such file"):
        read_audio(tmp_path / "gone.wav")
    with pytest.raises(UnreadableAudio, match="No such file"):
        digest_recording(tmp_path / "gone.wav")
    with pytest.raises(UnreadableAudio, match="Is a directory"):
        read_audio(tmp_path)
    path = write(tmp_path, "a.wav", float_wav(tone(3)))
    with open_audio(path) as stream:
        path.unlink()  # an open file stays readable
        assert sum(map(len, stream)) == 3 * RATE_HZ


def test_a_disk_that_fails_while_reading_is_an_error_not_an_early_end():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 200_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(UnreadableAudio, match="Input/output error"):
        read_audio(Failing(float_wav(tone(20))), "disk.wav")


def test_unusable_samples():
    with pytest.raises(EmptyAudio, match="every sample is NaN or infinite"):
        read_audio(float_wav(np.full(16_000, np.nan, np.float32)))
    with pytest.raises(EmptyAudio, match="every sample is NaN or infinite"):
        read_audio(float_wav(np.full((2, 16_000), -np.inf, np.float32)))
    with pytest.raises(EmptyAudio, match="zero seconds"):
        read_audio(float_wav(np.zeros(0, np.float32)))


def test_silence_is_a_recording():
    audio = read_audio(float_wav(np.zeros(16_000, np.float32)))
    assert audio.duration_ms == 1_000
    assert audio.warnings == ()


def test_reading_leaves_no_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pipe = io.BytesIO(float_wav(tone(1)))
    pipe.seekable = lambda: False  # type: ignore[method-assign]
    read_audio(pipe)
    assert not list(Path(tmp_path).iterdir())
