"""The speech of one request: the span of its file as samples, or as a file for tools that want one."""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from medstt.audio import read_audio
from medstt.errors import AudioError
from medstt.evaluate.system import Request
from medstt.values import RATE_HZ, Audio, Samples


class ClipReader:
    """Reads spans; the last file stays decoded, since the spans of a long recording follow each other."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._audio: Audio | None = None

    def read(self, request: Request) -> Audio:
        """Return the span of a request; raises an AudioError if the file is gone, or ends before the span starts."""
        if self._audio is None or self._path != request.audio:
            self._audio, self._path = read_audio(request.audio), request.audio
        return cut_span(self._audio, request.start_ms, request.end_ms)


def cut_span(audio: Audio, start_ms: int, end_ms: int | None) -> Audio:
    """Return a span of a recording; raises AudioError if it starts after the recording's end."""
    if not start_ms and end_ms is None:
        return audio
    if start_ms >= audio.duration_ms:
        raise AudioError(f"{audio.source} ends before {start_ms} ms", "Correct start_ms in the manifest")
    end_ms = audio.duration_ms if end_ms is None else min(end_ms, audio.duration_ms)
    samples = audio.samples[start_ms * RATE_HZ // 1000 : end_ms * RATE_HZ // 1000]
    return Audio(samples, f"{audio.digest}:{start_ms}-{end_ms}", audio.source, warnings=audio.warnings)


def write_wav(path: Path, samples: Samples) -> None:
    """Write 16-bit mono WAV at 16 kHz."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


@contextmanager
def clip_file(request: Request) -> Iterator[Path]:
    """Yield a file that holds just the request's span: the original if that is the whole of it."""
    if not request.start_ms and request.end_ms is None:
        yield request.audio
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        write_wav(path, cut_span(read_audio(request.audio), request.start_ms, request.end_ms).samples)
        yield path
