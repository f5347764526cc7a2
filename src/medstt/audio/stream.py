"""A recording as a stream of mono float32 blocks at 16 kHz, with its digest and warnings; memory stays flat.

Knows nothing of speech, features or models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from medstt.audio.mixer import Mixer, Resampler, gather_blocks
from medstt.audio.source import (
    AudioInfo,
    Source,
    describe_source,
    name_source,
    open_container,
    open_source,
    pick_sound,
    plausible,
    refuse_content,
    unreadable,
)
from medstt.disk import digest_file
from medstt.errors import EmptyAudio, UnreadableAudio
from medstt.values import RATE_HZ, Audio, Samples


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


def digest_recording(path: Path) -> str:
    """Return the SHA-256 of a recording's bytes; raises UnreadableAudio."""
    try:
        return digest_file(path)
    except OSError as error:
        raise unreadable(path.name, error) from error


class AudioStream:
    """A recording being decoded: iterate once over read-only float32 blocks of about a second, mono, 16 kHz.

    ``digest`` (SHA-256 of the source bytes), ``warnings`` and ``duration_ms`` are complete after the last block. A
    recording without a usable sample raises EmptyAudio; one that breaks off keeps what was decoded and warns.
    """

    def __init__(self, source: Source, name: str | None = None) -> None:
        self._name = name or name_source(source)
        self._handle = open_source(source, self._name)
        self._owned = self._handle is not source
        try:
            refuse_content(self._handle, self._name)
            self._container = open_container(self._handle, self._name)
        except BaseException:
            self._close_handle()
            raise
        try:
            self._stream = pick_sound(self._container, self._name)
            self.info = describe_source(self._container, self._stream, self._handle, self._name)
        except BaseException:
            self.close()
            raise
        self.warnings: tuple[str, ...] = ()
        self._digest: str | None = None
        self._samples = 0
        self._damaged = 0
        self._begun = False

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
        if self._begun:
            raise ValueError("A recording can be iterated once; open it again")
        self._begun = True
        mixer = Mixer()
        resampler = Resampler()
        for rate_hz, block in gather_blocks(self._frames()):
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
                raise unreadable(self._name, error) from error
            if packet is None:
                return
            try:
                for frame in packet.decode():
                    if plausible(frame.sample_rate, frame.layout.nb_channels):
                        yield frame
                    else:
                        self._damaged += 1
            except (av.error.FFmpegError, ValueError):
                self._damaged += 1

    def _finish(self, mixer: Mixer) -> None:
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
            raise unreadable(self._name, error) from error

    def _cut_short(self) -> Iterator[str]:
        declared_ms = self.info.duration_ms
        if declared_ms is not None and self.duration_ms < declared_ms - 250 - declared_ms // 1000:
            yield f"cut short: {self.duration_ms / 1000:.1f} of {declared_ms / 1000:.1f} seconds"
        if self._damaged:
            yield f"damaged: {self._damaged} part(s) of the file could not be decoded"
