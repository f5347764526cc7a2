"""A recording's bytes before decoding: open it, refuse what is no recording, say what its header declares.

Knows nothing of samples.
"""

from __future__ import annotations

import errno
import io
import shutil
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av

from medstt.errors import AudioError, EmptyAudio, ResourceError, UnreadableAudio, UnsupportedAudio

Source = Path | bytes | BinaryIO

# Only containers that hold one recording: playlists (hls, concat, dash) could make FFmpeg open other files or hosts.
FORMATS = (
    "wav,w64,rf64,mp3,mov,mp4,ogg,matroska,webm,flac,aiff,asf,amr,gsm,aac,au,caf,avi,mpegts,mpeg,wv,ac3,oma,voc,sox"
)
# Containers whose header or index states the length; elsewhere FFmpeg guesses it from the bit rate.
_DECLARING = frozenset({"wav", "mov", "asf", "matroska", "flac", "aiff", "w64", "au", "caf"})
_RATES_HZ = (2_000, 400_000)
_MAX_CHANNELS = 32
_COPY_BYTES = 1 << 20
_HEAD_BYTES = 1 << 12

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


def plausible(rate_hz: int, channels: int) -> bool:
    """Tell whether a sample rate and a number of channels can be those of a recording."""
    return _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1] and 1 <= channels <= _MAX_CHANNELS


def name_source(source: Source) -> str:
    """Return the name that stands for a source in messages."""
    if isinstance(source, Path):
        return source.name
    return "audio" if isinstance(source, bytes) else Path(str(getattr(source, "name", "audio"))).name


def unreadable(name: str, error: OSError) -> AudioError:
    """Return the error for a source that the operating system will not let us read."""
    reason = error.strerror or type(error).__name__
    return UnreadableAudio(f"{name}: cannot be read ({reason})", "Check that the file exists and may be read")


def open_source(source: Source, name: str) -> Any:
    """Return a seekable binary handle; a pipe is copied to an unlinked temporary file first."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        handle: BinaryIO = source.open("rb") if isinstance(source, Path) else source
        return handle if handle.seekable() else _spool(handle, name)
    except OSError as error:
        raise unreadable(name, error) from error


def _spool(handle: BinaryIO, name: str) -> Any:
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - owned and closed by the stream
    try:
        shutil.copyfileobj(handle, spool, _COPY_BYTES)
        spool.seek(0)
    except OSError as error:
        spool.close()
        if error.errno == errno.ENOSPC:
            raise ResourceError(f"{name}: no space to hold it in {tempfile.gettempdir()}", "Free some space") from error
        raise
    return spool


def refuse_content(handle: BinaryIO, name: str) -> None:
    """Raise for what the first bytes show to be no readable recording."""
    try:
        handle.seek(0)
        head = handle.read(_HEAD_BYTES)
        handle.seek(0)
    except OSError as error:
        raise unreadable(name, error) from error
    if not head:
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


def open_container(handle: BinaryIO, name: str) -> Any:
    """Open the container (a ``av.container.InputContainer``); raises UnsupportedAudio or UnreadableAudio."""
    try:
        return av.open(handle, metadata_errors="replace", options={"format_whitelist": FORMATS})
    except (av.error.FFmpegError, ValueError) as error:
        handle.seek(0)
        if handle.read(8)[4:] == b"ftyp":
            raise UnreadableAudio(
                f"{name}: the file is damaged or breaks off before its index", "Copy it again from the recorder"
            ) from error
        raise UnsupportedAudio(f"{name}: not a recording, or damaged at its start", _CONVERT) from error
    except OSError as error:
        raise unreadable(name, error) from error


def pick_sound(container: Any, name: str) -> Any:
    """Return the first sound stream that can be decoded here."""
    if not container.streams.audio:
        kind = "a video without sound" if container.streams.video else "without any sound"
        raise UnsupportedAudio(f"{name}: the file is {kind}", "Use the file that holds the recording's sound")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise UnsupportedAudio(f"{name}: its sound is of a codec that cannot be decoded here", _CONVERT)
    rate_hz, channels = stream.codec_context.sample_rate, stream.codec_context.channels
    if not plausible(rate_hz, channels):
        raise UnsupportedAudio(f"{name}: {rate_hz} Hz with {channels} channel(s) is out of range", _CONVERT)
    stream.codec_context.thread_count = 1
    return stream


def describe_source(container: Any, stream: Any, handle: BinaryIO, name: str) -> AudioInfo:
    """Return what the header says of the recording."""
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
