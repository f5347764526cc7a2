"""Makes recordings of every kind with PyAV, so that the tests need no ffmpeg program."""

from __future__ import annotations

import io
import struct
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Kind:
    """A way to write a recording: container, codec, rate and channels."""

    suffix: str
    codec: str
    rate_hz: int = 16_000
    channels: int = 1
    container: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    bit_rate: int | None = None

    def __str__(self) -> str:
        return f"{self.suffix}-{self.codec}-{self.rate_hz}-{self.channels}"


KINDS = (
    *(Kind("wav", f"pcm_{form}") for form in ("u8", "s16le", "s24le", "s32le", "f32le", "f64le", "mulaw", "alaw")),
    *(Kind("wav", "pcm_s16le", rate_hz) for rate_hz in (8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000)),
    Kind("wav", "adpcm_ima_wav"),
    Kind("wav", "adpcm_ms"),
    Kind("wav", "pcm_s24le", 96_000, 2),
    Kind("mp3", "libmp3lame", 44_100, 2, bit_rate=64_000),
    Kind("mp3", "libmp3lame", 16_000, bit_rate=32_000),
    Kind("mp3", "libmp3lame", 8_000, bit_rate=16_000),
    Kind("m4a", "aac", 44_100, 2, "ipod", bit_rate=96_000),
    Kind("m4a", "alac", 16_000, 1, "ipod"),
    Kind("m4a", "aac", 16_000, 1, "ipod", (("movflags", "frag_keyframe+empty_moov"),), 48_000),
    Kind("mp4", "aac", 48_000, 1, bit_rate=64_000),
    Kind("3gp", "aac", 16_000, 1, bit_rate=32_000),
    Kind("aac", "aac", 16_000, 1, "adts", bit_rate=48_000),
    Kind("ogg", "libopus", 48_000),
    Kind("opus", "libopus", 16_000, container="ogg", bit_rate=24_000),
    Kind("webm", "libopus", 48_000, 1, "webm"),
    Kind("webm", "libopus", 48_000, 1, "webm", (("live", "1"),)),
    Kind("mkv", "flac", 16_000, 1, "matroska"),
    Kind("flac", "flac"),
    Kind("flac", "flac", 48_000, 2),
    Kind("aiff", "pcm_s16be"),
    Kind("aiff", "pcm_s24be", 44_100, 2),
    Kind("wma", "wmav2", 44_100, 2, "asf", bit_rate=96_000),
    Kind("wma", "wmav2", 16_000, 1, "asf", bit_rate=32_000),
    Kind("au", "pcm_mulaw", 8_000),
    Kind("caf", "pcm_s16be"),
)


def tone(seconds: float, rate_hz: int = 16_000, hz: float = 440.0, amplitude: float = 0.4) -> Floats:
    """A sine, shape (n,)."""
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def encode(samples: Floats, kind: Kind) -> bytes:
    """Write samples of shape (channels, n) at the kind's rate; returns the file's bytes."""
    layout = {1: "mono", 2: "stereo"}[kind.channels]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"recording.{kind.suffix}")
        # A real file: "faststart" reads it again.
        with av.open(path, "w", format=kind.container or kind.suffix, container_options=dict(kind.options)) as target:
            stream = target.add_stream(kind.codec, rate=kind.rate_hz, layout=layout)
            if kind.bit_rate:
                stream.bit_rate = kind.bit_rate
            step = kind.rate_hz // 5
            for start in range(0, samples.shape[1], step):
                part = np.ascontiguousarray(samples[:, start : start + step], np.float32)
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
                frame.sample_rate = kind.rate_hz
                frame.pts = start
                frame.time_base = Fraction(1, kind.rate_hz)
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
        return path.read_bytes()


def wav_header(size_bytes: int, rate_hz: int = 16_000, bits: int = 16, channels: int = 1, form: int = 1) -> bytes:
    """A plain RIFF header that declares ``size_bytes`` of samples (form 1: integers, 3: floats)."""
    step = channels * bits // 8
    head = b"RIFF" + struct.pack("<I", min(36 + size_bytes, 0xFFFF_FFFF)) + b"WAVEfmt "
    return (
        head
        + struct.pack("<IHHIIHH", 16, form, channels, rate_hz, rate_hz * step, step, bits)
        + b"data"
        + struct.pack("<I", min(size_bytes, 0xFFFF_FFFF))
    )


def float_wav(samples: Floats, rate_hz: int = 16_000) -> bytes:
    """Write float32 samples of shape (n,) or (channels, n) as they are, NaN and infinities too."""
    planes = np.atleast_2d(samples)
    data = np.ascontiguousarray(planes.T, "<f4").tobytes()
    return wav_header(len(data), rate_hz, 32, len(planes), form=3) + data


def gsm_wav(seconds: float) -> bytes:
    """A GSM 6.10 recording in a wav (Microsoft's 65-byte blocks of 320 samples at 8 kHz); its content is noise."""
    blocks = int(seconds * 8_000 / 320)
    data = np.random.default_rng(6).integers(0, 256, blocks * 65, dtype=np.uint8).tobytes()
    head = b"WAVEfmt " + struct.pack("<IHHIIHHHH", 20, 0x31, 1, 8_000, 1_625, 65, 0, 2, 320)
    body = head + b"fact" + struct.pack("<II", 4, blocks * 320) + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def amr(seconds: float) -> bytes:
    """An AMR narrow-band recording (mode 12.2, 32 bytes each 20 ms); its content is noise."""
    random = np.random.default_rng(7)
    frames = [b"\x3c" + random.integers(0, 256, 31, dtype=np.uint8).tobytes() for _ in range(int(seconds * 50))]
    return b"#!AMR\n" + b"".join(frames)


def silent_video() -> bytes:
    """An mp4 with a picture and no sound."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as target:
        stream = target.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue()


def video_with_sound(samples: Floats, rate_hz: int = 16_000) -> bytes:
    """An mp4 whose picture runs longer than its sound."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as target:
        video = target.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = target.add_stream("aac", rate=rate_hz, layout="mono")
        for _ in range(40):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            target.mux(video.encode(picture))
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
        target.mux(video.encode(None))
    return out.getvalue()


class Endless(io.RawIOBase):
    """A seekable wav of any length that exists nowhere: a header, then the same samples again and again."""

    def __init__(self, hours: float, rate_hz: int = 16_000) -> None:
        self._size_bytes = int(hours * 3600 * rate_hz)
        self._header = wav_header(self._size_bytes, rate_hz, bits=8)
        self._unit = bytes(128 + round(40 * np.sin(i * np.pi / 16)) for i in range(32)) * 2048
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + {0: 0, 1: self._place, 2: len(self._header) + self._size_bytes}[whence]
        return self._place

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def, override]
        left = len(self._header) + self._size_bytes - self._place
        source = self._header[self._place :] or self._unit
        count = max(0, min(len(buffer), left, len(source)))
        buffer[:count] = source[:count]
        self._place += count
        return count


def write(folder: Path, name: str, data: bytes) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(data)
    return path
