"""Clean speech made like recordings: rooms, noise at a given ratio, telephone, messenger and recorder codecs.

Every change is drawn from the generator handed in, so that it follows from a seed alone; libraries whose transforms
draw from global generators are not used for that reason. SciPy convolves and filters, PyAV codes. Knows nothing of
sentences, voices or files written.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import scipy.fft
import scipy.signal

from medstt.audio import read_audio
from medstt.errors import DataError
from medstt.synth.recipe import Degrade
from medstt.values import RATE_HZ, Samples

TEST_NOISE_SHARE = 4  # one recording of noise in four is for tests only
SOUND_SUFFIXES = (".wav", ".flac", ".opus", ".ogg", ".mp3", ".m4a")
LEAST_POWER = 1e-10
PEAK = 0.95
ROOM_TAIL_MS = 200  # of a room's echo that is kept after the last word


@dataclass(frozen=True, slots=True)
class Coding:
    """One codec: container, PyAV's encoder, its rate, bits a second (0: fixed) and sample format."""

    container: str
    encoder: str
    rate_hz: int
    bit_rate: int
    layout: str = "s16"


CODECS: dict[str, Coding] = {
    "ulaw": Coding("wav", "pcm_mulaw", 8_000, 0),
    "amr": Coding("amr", "libopencore_amrnb", 8_000, 12_200),
    "opus": Coding("ogg", "libopus", 16_000, 12_000),
    "mp3": Coding("mp3", "libmp3lame", 16_000, 32_000, "s16p"),
}


def is_test_noise(stem: str) -> bool:
    """Tell whether a recording of noise is kept for tests, by the checksum of its file name without suffix."""
    return zlib.crc32(stem.encode()) % TEST_NOISE_SHARE == 0


def list_sounds(folder: Path, *, split: str | None = None) -> tuple[Path, ...]:
    """List a folder's recordings in order, all, or those that ``split`` may use (test noise is not for training)."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of recordings", "Correct the path under [degrade]")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUND_SUFFIXES)
    if split is not None:
        paths = [path for path in paths if is_test_noise(path.stem) is (split != "train")]
    if not paths:
        raise DataError(f"{folder}: no recording in it for the split {split!r}", f"Use {', '.join(SOUND_SUFFIXES)}")
    return tuple(paths)


@dataclass(frozen=True, slots=True)
class Sounds:
    """Where recorded noise and impulse responses lie; both may be empty."""

    noises: tuple[Path, ...] = ()
    impulses: tuple[Path, ...] = ()


def find_sounds(options: Degrade, folder: Path, split: str) -> Sounds:
    """Find the recordings that the options name, relative to the recipe's ``folder``; raises DataError."""
    noises = list_sounds(folder / options.noises, split=split) if options.noises else ()
    impulses = list_sounds(folder / options.impulses) if options.impulses else ()
    return Sounds(noises, impulses)


def mean_power(samples: Samples) -> float:
    """Return the mean of the squared samples, never quite 0."""
    return max(LEAST_POWER, float(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else LEAST_POWER


def add_noise(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """Mix in ``noise`` (repeated or cut to length) so that speech is ``snr_db`` above it by mean power."""
    noise = np.resize(noise, len(samples))
    gain = np.sqrt(mean_power(samples) / mean_power(noise) / 10 ** (snr_db / 10))
    return np.asarray(samples + noise * np.float32(gain), dtype=np.float32)


def make_noise(count: int, rng: np.random.Generator) -> Samples:
    """Return ``count`` samples of steady coloured noise: power falls by 0 (white) to 2 (brown) powers of frequency."""
    size = scipy.fft.next_fast_len(count, real=True)  # a transform of a prime length takes many times as long
    spectrum = scipy.fft.rfft(rng.standard_normal(size))
    frequency = np.maximum(scipy.fft.rfftfreq(size, 1 / RATE_HZ), 20.0)
    coloured = scipy.fft.irfft(spectrum * frequency ** (-rng.uniform(0, 2) / 2), size)[:count]
    return np.asarray(coloured / np.sqrt(mean_power(coloured.astype(np.float32))), dtype=np.float32)


def simulate_impulse(rt60_ms: float, direct_db: float, rng: np.random.Generator) -> Samples:
    """Return a room's impulse response: the direct sound, then noise that falls by 60 dB in ``rt60_ms``.

    ``direct_db`` is the direct sound's energy over the echo's (Polack's model of late reverberation).
    """
    count = int(rt60_ms * RATE_HZ / 1000)
    time_s = np.arange(count) / RATE_HZ
    echo = rng.standard_normal(count) * np.exp(-np.log(1e3) * time_s / (rt60_ms / 1000))
    echo[: RATE_HZ // 400] = 0.0  # the first reflection comes 2.5 ms after the direct sound, a way 85 cm longer
    echo *= np.sqrt(10 ** (-direct_db / 10) / max(LEAST_POWER, float(np.sum(echo**2))))
    echo[0] = 1.0
    return np.asarray(echo, dtype=np.float32)


def apply_impulse(samples: Samples, impulse: Samples) -> Samples:
    """Put speech into a room; its power stays, its start stays where it was, the echo's end is kept in part."""
    direct = int(np.argmax(np.abs(impulse)))
    wet = scipy.signal.fftconvolve(samples, impulse[direct:])[: len(samples) + ROOM_TAIL_MS * RATE_HZ // 1000]
    wet *= np.sqrt(mean_power(samples) / mean_power(wet[: len(samples)]))
    return np.asarray(wet, dtype=np.float32)


def apply_codec(samples: Samples, name: str) -> Samples:
    """Encode and decode speech with one of ``CODECS``."""
    codec = CODECS[name]
    pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None, :]
    frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
    frame.sample_rate = RATE_HZ
    coded = io.BytesIO()
    with av.open(coded, "w", format=codec.container) as container:
        stream = container.add_stream(codec.encoder, rate=codec.rate_hz, layout="mono")
        stream.codec_context.format = codec.layout
        if codec.bit_rate:
            stream.bit_rate = codec.bit_rate
        stream.codec_context.thread_count = 1
        resampler = av.AudioResampler(format=codec.layout, layout="mono", rate=codec.rate_hz)
        fifo = av.AudioFifo()
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            piece.pts = None
            fifo.write(piece)
        size = stream.codec_context.frame_size or fifo.samples
        while fifo.samples:
            container.mux(stream.encode(fifo.read(min(size, fifo.samples))))
        container.mux(stream.encode(None))
    return read_audio(coded.getvalue(), f"{name} speech").samples


class Degrader:
    """Spoils one clip after another; keeps the recordings it has decoded."""

    def __init__(self, options: Degrade, sounds: Sounds) -> None:
        self._options = options
        self._sounds = sounds
        self._decoded: dict[Path, Samples] = {}

    def degrade(self, samples: Samples, seed: str) -> tuple[Samples, dict[str, str]]:
        """Return the clip as recorded, and what was done to it: tags ``room``, ``snr_db``, ``codec``; none if clean."""
        options = self._options
        rng = np.random.default_rng(zlib.crc32(seed.encode()))
        room, noise, codec = rng.random(3) < (options.rooms, options.noise, options.codecs)
        tags: dict[str, str] = {}
        if room:
            impulse, tags["room"] = self._impulse(rng)
            samples = apply_impulse(samples, impulse)
        if noise:
            snr_db = round(float(rng.uniform(*options.snr_db)), 1)
            samples = add_noise(samples, self._noise(len(samples), rng), snr_db)
            tags["snr_db"] = f"{snr_db:g}"
        peak = float(np.abs(samples).max(initial=0.0))
        samples = samples if peak <= PEAK else np.asarray(samples * np.float32(PEAK / peak), dtype=np.float32)
        if codec:
            shares = options.codec.model_dump()
            weights = np.array(list(shares.values())) / sum(shares.values())
            tags["codec"] = str(rng.choice(list(shares), p=weights))
            samples = apply_codec(samples, tags["codec"])
        return samples, tags

    def _impulse(self, rng: np.random.Generator) -> tuple[Samples, str]:
        if self._sounds.impulses and rng.random() < 0.5:
            path = self._sounds.impulses[int(rng.integers(len(self._sounds.impulses)))]
            return self._read(path), path.stem
        rt60_ms = int(rng.integers(self._options.rt60_ms[0], self._options.rt60_ms[1] + 1))
        return simulate_impulse(rt60_ms, float(rng.uniform(-3, 10)), rng), f"simulated {rt60_ms} ms"

    def _noise(self, count: int, rng: np.random.Generator) -> Samples:
        if not self._sounds.noises or rng.random() < self._options.made:
            return make_noise(count, rng)
        noise = self._read(self._sounds.noises[int(rng.integers(len(self._sounds.noises)))])
        start = int(rng.integers(max(1, len(noise) - count)))
        return noise[start : start + count]

    def _read(self, path: Path) -> Samples:
        if path not in self._decoded:
            self._decoded[path] = read_audio(path).samples
        return self._decoded[path]
