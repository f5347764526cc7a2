"""Any system under test as one small protocol, and the table that opens one from its name.

Knows nothing of references, scores or reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from medstt.errors import OptionError
from medstt.listen import Vocabulary


@dataclass(frozen=True, slots=True)
class Request:
    """One piece of speech to be transcribed; the reference is no part of it. ``end_ms`` None means to the end."""

    key: str
    audio: Path
    language: str
    start_ms: int = 0
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word of a hypothesis: its text, times in milliseconds and confidence (None where the system gives none)."""

    text: str
    start_ms: int | None = None
    end_ms: int | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a system answered; ``written`` is the formatted document's text where the system makes one."""

    text: str
    words: tuple[HeardWord, ...] = ()
    written: str | None = None
    language: str | None = None
    audio_ms: int | None = None


class System(Protocol):
    """Something that turns speech into text. ``transcribe`` may be called from several threads."""

    def describe(self) -> Mapping[str, Any]:
        """Return what a report must name: kind, model, digest, settings."""
        ...

    def transcribe(self, request: Request) -> Reply:
        """Transcribe one request; raises a MedsttError if it cannot (retries are the system's own business)."""
        ...


@dataclass(frozen=True, slots=True)
class SystemOptions:
    """How to open and run a system under test.

    ``vocabulary`` is what our own models listen for, as in serving the built-in one unless said otherwise. ``phrases``
    lets other programs' engines hear what our models hear: the phrases that we find, each with silence up to 30 s.
    ``api_key`` and ``timeout_s`` are for remote systems, ``home`` holds models.
    """

    beam: int = 1
    language: str | None = None
    audio_context: str | None = None
    threads: int = 1
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 120.0
    home: Path | None = None
    vocabulary: Vocabulary = None
    phrases: bool = False


Opener = Callable[[str, SystemOptions], System]


def _open_model(name: str, options: SystemOptions) -> System:
    from medstt.evaluate.local import MedsttSystem

    return MedsttSystem.open(name, options)


def _open_faster_whisper(name: str, options: SystemOptions) -> System:
    from medstt.evaluate.peer import FasterWhisperSystem

    return FasterWhisperSystem.open(name, options)


def _open_transformers(name: str, options: SystemOptions) -> System:
    from medstt.evaluate.peer import TransformersSystem

    return TransformersSystem.open(name, options)


def _open_command(name: str, options: SystemOptions) -> System:
    from medstt.evaluate.external import CommandSystem

    return CommandSystem(name, options.timeout_s)


def _open_transcripts(name: str, options: SystemOptions) -> System:
    from medstt.evaluate.external import TranscriptFolder

    return TranscriptFolder.open(Path(name))


def _open_remote(name: str, options: SystemOptions) -> System:
    from medstt.evaluate.remote import RemoteSystem

    return RemoteSystem.open(name, options)


OPENERS: dict[str, Opener] = {
    "model": _open_model,
    "faster-whisper": _open_faster_whisper,
    "transformers": _open_transformers,
    "command": _open_command,
    "transcripts": _open_transcripts,
    "http": _open_remote,
    "https": _open_remote,
}


def open_system(name: str, options: SystemOptions) -> System:
    """Open a system by name: a model (name, folder, hub id) or ``KIND:WHAT`` with a kind of ``OPENERS``.

    ``http://HOST/v1#MODEL`` is an OpenAI-compatible server. Raises OptionError for an empty name.
    """
    kind, _, rest = name.partition(":")
    if not name.strip() or (kind in OPENERS and not rest):
        raise OptionError(
            f"{name!r} names no system", f"Give a model, or one of {', '.join(sorted(OPENERS))} with a value"
        )
    if kind in ("http", "https"):
        return _open_remote(name, options)
    if kind in OPENERS:
        return OPENERS[kind](rest, options)
    return _open_model(name, options)
