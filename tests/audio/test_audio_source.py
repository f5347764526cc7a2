"""Files that are no recording, or no longer one: each is refused in one line that says why and what to do."""

from __future__ import annotations

import io
import zipfile
import zlib

import numpy as np
import pytest
from recordings import Kind, encode, float_wav, silent_video, tone, wav_header

from medstt.audio import probe, read_audio
from medstt.errors import AudioError, EmptyAudio, UnreadableAudio, UnsupportedAudio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(2_000)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(2_000)
NOISE = np.random.default_rng(3).integers(0, 256, 20_000, dtype=np.uint8).tobytes()
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


def archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        target.writestr("word/document.xml", "<w:document/>")
    return out.getvalue()


def index_cut_off():
    data = encode(tone(3)[np.newaxis], Kind("m4a", "aac", 16_000, 1, "ipod", bit_rate=48_000))
    return data[: len(data) // 2]


BAD = {
    "empty.wav": (b"", EmptyAudio, "the file is empty"),
    "text.wav": (b"Patient reports chest pain.\n" * 50, UnsupportedAudio, "is text"),
    "umlaut.wav": (("Übelkeit und Fußödem\n" * 300).encode(), UnsupportedAudio, "is text"),
    "short.mp3": (b"x", UnsupportedAudio, "is text"),
    "page.mp3": (b"<!DOCTYPE html><html><body>404</body></html>", UnsupportedAudio, "is text"),
    "data.m4a": (b'{"error": "expired link"}', UnsupportedAudio, "is text"),
    "list.m3u8": (PLAYLIST, UnsupportedAudio, "is text"),
    "concat.wav": (b"ffconcat version 1.0\nfile /etc/passwd\n", UnsupportedAudio, "is text"),
    "photo.wav": (PNG, UnsupportedAudio, "is an image"),
    "photo.mp3": (JPEG, UnsupportedAudio, "is an image"),
    "scan.wav": (b"II*\x00" + bytes(500), UnsupportedAudio, "is an image"),
    "letter.wav": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(500), UnsupportedAudio, "is a PDF document"),
    "letter.docx": (archive(), UnsupportedAudio, "is a ZIP archive or Office document"),
    "letter.rtf": (b"{\\rtf1\\ansi Befund}", UnsupportedAudio, "RTF"),
    "program.wav": (b"\x7fELF\x02\x01\x01" + bytes(5_000), UnsupportedAudio, "not a recording"),
    "packed.wav": (zlib.compress(NOISE), UnsupportedAudio, "not a recording"),
    "noise.wav": (NOISE, UnsupportedAudio, "not a recording"),
    "zeros.wav": (bytes(10_000), UnsupportedAudio, "not a recording"),
    "video.mp4": (silent_video(), UnsupportedAudio, "is a video without sound"),
    "cut.m4a": (index_cut_off(), UnreadableAudio, "breaks off before its index"),
    "header.wav": (wav_header(0), EmptyAudio, "zero seconds"),
    "halfheader.wav": (wav_header(1_000)[:20], UnsupportedAudio, "not a recording"),
    "id3.mp3": (b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(300), UnsupportedAudio, "not a recording"),
    "onlyflac.flac": (b"fLaC" + bytes(100), AudioError, ""),
    "onlyogg.ogg": (b"OggS" + bytes(100), AudioError, ""),
    "rate0.wav": (wav_header(3_200, rate_hz=0) + bytes(3_200), UnsupportedAudio, ""),
    "rate1.wav": (wav_header(3_200, rate_hz=1) + bytes(3_200), UnsupportedAudio, "1 Hz with 1 channel"),
    "rate3g.wav": (wav_header(3_200, rate_hz=2**31 - 2) + bytes(3_200), UnsupportedAudio, ""),
    "channels.wav": (wav_header(3_200, channels=500) + bytes(3_200), UnsupportedAudio, ""),
    "nan.wav": (float_wav(np.full(1_600, np.nan, np.float32)), EmptyAudio, "NaN or infinite"),
    "inf.wav": (float_wav(np.full(1_600, np.inf, np.float32)), EmptyAudio, "NaN or infinite"),
    "visit.ds2": (b"\x03ds2" + NOISE, UnsupportedAudio, "DSS/DS2 is not supported yet"),
    "visit.dss": (b"\x02dss" + NOISE, UnsupportedAudio, "DSS/DS2 is not supported yet"),
    "locked.ds2": (b"\x03enc" + NOISE, UnsupportedAudio, "DSS/DS2 is not supported yet"),
    "renamed.wav": (b"\x03ds2" + NOISE, UnsupportedAudio, "DSS/DS2 is not supported yet"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_line_with_reason_and_remedy(name):
    data, kind, reason = BAD[name]
    with pytest.raises(AudioError) as caught:
        read_audio(data, name)
    message = str(caught.value)
    assert isinstance(caught.value, kind), message
    assert message.startswith(f"{name}: ")
    assert reason in message
    assert caught.value.remedy
    assert "\n" not in message


@pytest.mark.parametrize("name", ["empty.wav", "text.wav", "video.mp4", "visit.ds2", "rate1.wav"])
def test_probe_refuses_the_same(name):
    data, kind, _ = BAD[name]
    with pytest.raises(kind):
        probe(data, name)


def test_the_content_counts_not_the_name():
    data = encode(tone(1)[np.newaxis], Kind("mp3", "libmp3lame", 16_000, bit_rate=32_000))
    assert read_audio(data, "named.wav").duration_ms == pytest.approx(1_000, abs=80)
    assert probe(data, "named.txt").container == "mp3"


def test_a_tag_in_a_foreign_encoding_does_no_harm():
    data = encode(tone(1)[np.newaxis], Kind("mp3", "libmp3lame", 16_000, bit_rate=32_000))
    title = b"TIT2\x00\x00\x00\x06\x00\x00\x03" + b"\xff\xfe\xe4\xf6\xfc"
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 0, len(title)]) + title
    assert read_audio(tag + data).duration_ms == pytest.approx(1_000, abs=80)


def test_a_long_id3_picture_does_not_hide_the_declared_length():
    data = encode(tone(4, 44_100)[np.newaxis], Kind("mp3", "libmp3lame", 44_100, bit_rate=64_000))
    picture = b"APIC" + bytes([0, 0, 0x7F & (20_000 >> 7), 20_000 & 0x7F]) + b"\x00\x00" + bytes(20_000)
    size = len(picture)
    tag = b"ID3\x04\x00\x00" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + picture
    body = data[10 + int.from_bytes(data[8:10], "big") :] if data.startswith(b"ID3") else data
    assert probe(tag + body).duration_ms == pytest.approx(4_000, abs=60)
