"""Bytes, a path or a stream to mono float32 at 16 kHz: probe, refuse, decode, mix down, resample, digest.

Memory stays flat however long the recording is. Knows nothing of speech, features or models.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt

from medstt.errors import AudioError, EmptyAudio, UnreadableAudio, UnsupportedAudio
from medstt.values import RATE_HZ, Audio, Samples

Source = Path | bytes | BinaryIO

# Only containers that hold one recording: playlists (hls, concat, dash) could make FFmpeg open other files or hosts.
FORMATS = (
    "wav,w64,rf64,mp3,mov,mp4,ogg,matroska,webm,flac,aiff,asf,amr,gsm,aac,au,caf,avi,mpegts,mpeg,wv,ac3,oma,voc,sox"
)
# Containers whose header or index states the length; elsewhere FFmpeg guesses it from the bit rate.
_DECLARING = frozenset({"wav", "mov", "asf", "matroska", "flac", "aiff", "w64", "au", "caf"})
_RATES_HZ = (2_000, 400_000)
_MAX_CHANNELS = 32
_BLOCK_S = 1.0
_COPY_BYTES = 1 << 20
_HEAD_BYTES = 1 << 12
_CLIPPED = 0.99  # of full scale
_CLIPPED_SHARE = 0.001
_LIVE_SHARE = 1e-3  # a channel 30 dB below the loudest is dead
_INVERTED = -0.8  # correlation with the loudest channel
_REMEMBER = 0.9  # decay of the channel statistics per block

_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_DOCUMENTS = {
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or Office document",
    b"{\\rtf": "an RTF document",
}
_CONVERT = "Convert it to wav, mp3, m4a, ogg or flac"


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a recording says of itself; ``duration_ms`` is None where its header states no length."""

    source: str
    container: str
    codec: str
    rate_hz: int
    channels: int
    duration_ms: int | None


def open_audio(source: Source, name: str | None = None) -> AudioStream:
    """Open a recording for decoding in blocks; use it as a context manager.

    ``name`` stands for the source in messages. Raises UnreadableAudio, UnsupportedAudio or EmptyAudio.
    """
    return AudioStream(source, name)


def read_audio(source: Source, name: str | None = None) -> Audio:
    """Decode a whole recording into memory (230 MB an hour); raises an AudioError."""
    with open_audio(source, name) as stream:
        samples = np.concatenate(list(stream))
        samples.flags.writeable = False
        return Audio(samples, stream.digest, stream.info.source, warnings=stream.warnings)


def probe(source: Source, name: str | None = None) -> AudioInfo:
    """Return what the header says without decoding the recording; raises an AudioError."""
    with open_audio(source, name) as stream:
        return stream.info


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; raises UnreadableAudio."""
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path.name, error) from error


class AudioStream:
    """A recording being decoded: iterate once over read-only float32 blocks of about a second, mono, 16 kHz.

    ``digest`` (SHA-256 of the source bytes), ``warnings`` and ``duration_ms`` are complete after the last block. A
    recording without a usable sample raises EmptyAudio; one that breaks off keeps what was decoded and warns.
    """

    def __init__(self, source: Source, name: str | None = None) -> None:
        self._name = name or _name_of(source)
        self._handle = _open_source(source, self._name)
        self._owned = not hasattr(source, "read") or self._handle is not source
        try:
            self._size_bytes = _refuse_by_content(self._handle, self._name)
            self._container = _open_container(self._handle, self._name)
        except BaseException:
            self._close_handle()
            raise
        try:
            self._stream = _sound_of(self._container, self._name)
            self.info = _describe(self._container, self._stream, self._handle, self._name)
        except BaseException:
            self.close()
            raise
        self.warnings: tuple[str, ...] = ()
        self._digest: str | None = None
        self._samples = 0
        self._damaged = 0

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def digest(self) -> str:
        """SHA-256 of the source bytes; known after the last block."""
        if self._digest is None:
            raise ValueError("The digest is known after the last block")
        return self._digest

    @property
    def duration_ms(self) -> int:
        """Length of what has been decoded so far, in milliseconds."""
        return self._samples * 1000 // RATE_HZ

    def close(self) -> None:
        """Release the decoder and, if it was opened here, the file."""
        self._container.close()
        self._close_handle()

    def _close_handle(self) -> None:
        if self._owned:
            self._handle.close()

    def __iter__(self) -> Iterator[Samples]:
        mixer = _Mixer()
        resampler = _Resampler()
        for rate_hz, block in _blocks(self._frames()):
            for samples in resampler.push(mixer.mix(block), rate_hz):
                yield self._counted(samples)
        for samples in resampler.flush():
            yield self._counted(samples)
        self._finish(mixer)

    def _counted(self, samples: Samples) -> Samples:
        self._samples += len(samples)
        samples.flags.writeable = False
        return samples

    def _frames(self) -> Iterator[av.AudioFrame]:
        """Yield decoded frames; count damaged packets and pass over them, end quietly where the file breaks off."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                self._damaged += 1
                return
            except OSError as error:
                raise _unreadable(self._name, error) from error
            if packet is None:
                return
            try:
                yield from packet.decode()
            except (av.error.FFmpegError, ValueError):
                self._damaged += 1

    def _finish(self, mixer: _Mixer) -> None:
        """Refuse a recording without sound, else complete digest and warnings."""
        if not self._samples:
            reason = "its sound data is damaged" if self._damaged else "it holds zero seconds of sound"
            kind = UnreadableAudio if self._damaged else EmptyAudio
            raise kind(f"{self._name}: {reason}", "Record it again or use the original file")
        if mixer.bad == mixer.total:
            raise EmptyAudio(f"{self._name}: every sample is NaN or infinite", "Export it again from the recorder")
        self.warnings = (*self._cut_short(), *mixer.warnings())
        try:
            self._handle.seek(0)
            self._digest = hashlib.file_digest(self._handle, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(self._name, error) from error

    def _cut_short(self) -> Iterator[str]:
        declared_ms = self.info.duration_ms
        if declared_ms is not None and self.duration_ms < declared_ms - 250 - declared_ms // 1000:
            yield f"cut short: {self.duration_ms / 1000:.1f} of {declared_ms / 1000:.1f} seconds"
        if self._damaged:
            yield f"damaged: {self._damaged} part(s) of the file could not be decoded"


class _Mixer:
    """Averages channels at the source's rate; drops none, cancels none, and counts what is wrong.

    A channel 30 dB below the loudest does not count in the average (a dead half of dual mono would cost 6 dB), and
    one of opposite polarity is turned round (its average with the other would be silence). Weights follow decaying
    statistics and change within a block as a ramp, so no step is heard.
    """

    def __init__(self) -> None:
        self.total = 0
        self.bad = 0
        self._clipped = 0
        self._flipped = False
        self._covariance: npt.NDArray[np.float64] | None = None
        self._weights: npt.NDArray[np.float64] | None = None

    def mix(self, block: npt.NDArray[np.float32]) -> Samples:
        """Return the mono mix of a block of shape (channels, n)."""
        finite = np.isfinite(block)
        self.total += block.size
        bad = block.size - int(np.count_nonzero(finite))
        if bad:
            self.bad += bad
            block = np.where(finite, block, np.float32(0))
        self._clipped += int(np.count_nonzero(np.abs(block) >= _CLIPPED))
        block = np.clip(block, -1.0, 1.0)
        if len(block) == 1:
            return np.ascontiguousarray(block[0])
        return self._weigh(block)

    def _weigh(self, block: npt.NDArray[np.float32]) -> Samples:
        centred = block - block.mean(axis=1, keepdims=True)
        covariance = (centred @ centred.T).astype(np.float64)
        if self._covariance is not None and self._covariance.shape == covariance.shape:
            covariance += self._covariance * _REMEMBER
        else:
            self._weights = None
        self._covariance = covariance
        target = self._target(covariance)
        start = target if self._weights is None else self._weights
        self._weights = target
        if np.array_equal(start, target):
            return (target.astype(np.float32) @ block).astype(np.float32)
        ramp = np.linspace(0.0, 1.0, block.shape[1], dtype=np.float32)
        old, new = start.astype(np.float32) @ block, target.astype(np.float32) @ block
        return np.clip(old + (new - old) * ramp, -1.0, 1.0).astype(np.float32)

    def _target(self, covariance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        energy = np.diag(covariance)
        loudest = int(np.argmax(energy))
        live = energy > energy[loudest] * _LIVE_SHARE
        scale = np.sqrt(energy * energy[loudest]) + 1e-12
        inverted = live & (covariance[loudest] / scale < _INVERTED)
        self._flipped = self._flipped or bool(inverted.any())
        return np.where(inverted, -1.0, 1.0) / max(1, int(live.sum()))

    def warnings(self) -> Iterator[str]:
        """Yield what a listener should know of the recording."""
        if self.bad:
            yield f"not a number: {self.bad} of {self.total} samples replaced by silence"
        if self._clipped > self.total * _CLIPPED_SHARE:
            yield f"clipped: {100 * self._clipped / self.total:.1f} % of the samples at full scale"
        if self._flipped:
            yield "polarity: one channel was inverted against the other and has been turned round"


class _Resampler:
    """Mono float32 at any rate to 16 kHz; a change of rate in mid-stream starts a new filter."""

    def __init__(self) -> None:
        self._filter: av.AudioResampler | None = None
        self._rate_hz = 0

    def push(self, samples: Samples, rate_hz: int) -> Iterator[Samples]:
        """Yield what is ready after these samples."""
        if rate_hz != self._rate_hz:
            yield from self.flush()
            self._rate_hz = rate_hz
            self._filter = None if rate_hz == RATE_HZ else av.AudioResampler("fltp", "mono", RATE_HZ)
        if self._filter is None:
            yield samples
            return
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        frame.time_base = Fraction(1, rate_hz)
        yield from self._ready(frame)

    def flush(self) -> Iterator[Samples]:
        """Yield the filter's tail."""
        if self._filter is not None:
            yield from self._ready(None)
            self._filter = None
            self._rate_hz = 0

    def _ready(self, frame: av.AudioFrame | None) -> Iterator[Samples]:
        assert self._filter is not None
        for out in self._filter.resample(frame):
            if out.samples:
                yield np.clip(out.to_ndarray()[0], -1.0, 1.0)


def _blocks(frames: Iterator[av.AudioFrame]) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Gather frames into blocks of about a second: (rate_hz, float32 of shape (channels, n))."""
    pending: list[npt.NDArray[np.float32]] = []
    count, shape = 0, (0, 0)
    for frame in frames:
        channels = _float_channels(frame)
        if (frame.sample_rate, len(channels)) != shape:
            if pending:
                yield shape[0], np.concatenate(pending, axis=1)
            pending, count, shape = [], 0, (frame.sample_rate, len(channels))
            if not _plausible(*shape):
                return
        pending.append(channels)
        count += channels.shape[1]
        if count >= frame.sample_rate * _BLOCK_S:
            yield shape[0], np.concatenate(pending, axis=1)
            pending, count = [], 0
    if pending:
        yield shape[0], np.concatenate(pending, axis=1)


def _float_channels(frame: av.AudioFrame) -> npt.NDArray[np.float32]:
    """Return a frame's samples as float32 of shape (channels, n), full scale 1."""
    data: npt.NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    with np.errstate(over="ignore", invalid="ignore"):
        samples: npt.NDArray[np.float32] = data.astype(np.float32)
    if data.dtype == np.uint8:
        samples -= 128
    if not np.issubdtype(data.dtype, np.floating):
        samples /= 1 << (8 * data.dtype.itemsize - 1)
    return samples


def _plausible(rate_hz: int, channels: int) -> bool:
    return _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1] and 1 <= channels <= _MAX_CHANNELS


def _name_of(source: Source) -> str:
    if isinstance(source, Path):
        return source.name
    return "audio" if isinstance(source, bytes) else Path(str(getattr(source, "name", "audio"))).name


def _unreadable(name: str, error: OSError) -> AudioError:
    reason = error.strerror or type(error).__name__
    return UnreadableAudio(f"{name}: cannot be read ({reason})", "Check that the file exists and may be read")


def _open_source(source: Source, name: str) -> Any:
    """Return a seekable binary handle; a pipe is copied to an unlinked temporary file first."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        handle: BinaryIO = source.open("rb") if isinstance(source, Path) else source
        if handle.seekable():
            return handle
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - owned and closed by the stream
        shutil.copyfileobj(handle, spool, _COPY_BYTES)
        spool.seek(0)
        return spool
    except OSError as error:
        raise _unreadable(name, error) from error


def _refuse_by_content(handle: BinaryIO, name: str) -> int:
    """Raise for what the first bytes show to be no readable recording; return the size in bytes."""
    try:
        size_bytes = handle.seek(0, io.SEEK_END)
        handle.seek(0)
        head = handle.read(_HEAD_BYTES)
        handle.seek(0)
    except OSError as error:
        raise _unreadable(name, error) from error
    if not size_bytes:
        raise EmptyAudio(f"{name}: the file is empty", "Copy it again from the recorder")
    if head[1:4] in {b"dss", b"ds2", b"enc"} or Path(name).suffix.lower() in {".dss", ".ds2"}:
        raise UnsupportedAudio(
            f"{name}: the recorder format DSS/DS2 is not supported yet",
            "Export it as wav or mp3 from the recorder's program",
        )
    what = "an image" if head.startswith(_IMAGES) else None
    for magic, document in _DOCUMENTS.items():
        what = document if head.startswith(magic) else what
    if what is None and _is_text(head):
        what = "text"
    if what:
        raise UnsupportedAudio(f"{name}: the file is {what}, not a recording", "Check which file was meant")
    return size_bytes


def _is_text(head: bytes) -> bool:
    """Tell whether the bytes are printable text (a recorder's header never is, `#!AMR` apart)."""
    if head.startswith((b"#!AMR", b"RIFF", b"FORM", b"OggS", b"fLaC", b"ID3")):
        return False
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return control == 0 and error.start >= len(head) - 3
    return control == 0


def _open_container(handle: BinaryIO, name: str) -> Any:
    try:
        return av.open(handle, metadata_errors="replace", options={"format_whitelist": FORMATS})
    except OSError as error:
        if not isinstance(error, av.error.FFmpegError):
            raise _unreadable(name, error) from error
        raise UnsupportedAudio(f"{name}: not a recording, or damaged at its start", _CONVERT) from error
    except (av.error.FFmpegError, ValueError) as error:
        raise UnsupportedAudio(f"{name}: not a recording, or damaged at its start", _CONVERT) from error


def _sound_of(container: Any, name: str) -> Any:
    """Return the first sound stream that can be decoded here."""
    if not container.streams.audio:
        kind = "a video without sound" if container.streams.video else "without any sound"
        raise UnsupportedAudio(f"{name}: the file is {kind}", "Use the file that holds the recording's sound")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise UnsupportedAudio(f"{name}: its sound is of a codec that cannot be decoded here", _CONVERT)
    rate_hz, channels = stream.codec_context.sample_rate, stream.codec_context.channels
    if not _plausible(rate_hz, channels):
        raise UnsupportedAudio(f"{name}: {rate_hz} Hz with {channels} channel(s) is out of range", _CONVERT)
    stream.codec_context.thread_count = 1
    return stream


def _describe(container: Any, stream: Any, handle: BinaryIO, name: str) -> AudioInfo:
    context = stream.codec_context
    kind = container.format.name.split(",")[0]
    return AudioInfo(
        name, kind, context.name, context.sample_rate, context.channels, _declared_ms(container, stream, handle, kind)
    )


def _declared_ms(container: Any, stream: Any, handle: BinaryIO, kind: str) -> int | None:
    """Return the length that the header states, in milliseconds; None where FFmpeg would only guess."""
    place = handle.tell()
    try:
        if kind == "wav":
            declared = _wav_ms(handle)
            if declared is not None:
                return declared
        if kind not in _DECLARING and not (kind == "mp3" and _mp3_counts_frames(handle)):
            return None
    finally:
        handle.seek(place)
    if stream.duration is not None and stream.time_base:
        return int(stream.duration * stream.time_base * 1000)
    if container.duration is not None and len(container.streams) == 1:
        return int(container.duration // 1000)
    return None


def _wav_ms(handle: BinaryIO) -> int | None:
    """Return the length from a RIFF header's data chunk (FFmpeg trims it to the file's size, which hides a cut)."""
    handle.seek(0)
    if handle.read(12)[8:] != b"WAVE":
        return None
    bytes_per_s = 0
    while len(header := handle.read(8)) == 8:
        tag, size_bytes = struct.unpack("<4sI", header)
        if tag == b"data":
            streamed = size_bytes == 0 or size_bytes >= 0x7FFF_0000  # written before the length was known
            return None if streamed or not bytes_per_s else size_bytes * 1000 // bytes_per_s
        if tag == b"fmt ":
            body = handle.read(size_bytes + size_bytes % 2) if size_bytes < _HEAD_BYTES else b""
            bytes_per_s = int.from_bytes(body[8:12], "little")
        else:
            handle.seek(size_bytes + size_bytes % 2, io.SEEK_CUR)
    return None


def _mp3_counts_frames(handle: BinaryIO) -> bool:
    """Tell whether an mp3 states its number of frames (a Xing, Info or VBRI header in its first frame)."""
    handle.seek(0)
    head = handle.read(10)
    tag_bytes = 0
    if head.startswith(b"ID3") and len(head) == 10:
        tag_bytes = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    handle.seek(tag_bytes)
    first = handle.read(_HEAD_BYTES)
    return any(tag in first for tag in (b"Xing", b"Info", b"VBRI"))
