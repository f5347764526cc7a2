"""One recording's work: digest, skip if done, transcribe, format, render. Runs in this process or in a worker.

Knows nothing of other recordings, of the output folder or of terminals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medstt.audio import digest_recording
from medstt.errors import MedsttError
from medstt.export import render
from medstt.text import format as format_text
from medstt.transcriber import Transcriber
from medstt.values import Document, Transcript
from medstt.version import __version__

# Opens a transcriber with so many replicas of its engine; must be picklable (a function or a partial of one).
OpenTranscriber = Callable[[int], Transcriber]
Results = Generator["Progress | Rendered"]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What is written of a transcript: the formats; verbatim words alone, or a document after ``template``."""

    formats: tuple[str, ...] = ("txt",)
    verbatim: bool = False
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One recording to be done: its number, path, label for messages and output name."""

    number: int
    path: Path
    label: str
    name: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recording has come, in milliseconds of it; ``declared_ms`` None where its length is not known."""

    number: int
    position_ms: int
    declared_ms: int | None


@dataclass(frozen=True, slots=True)
class Rendered:
    """What came of a task: a result to be committed, nothing new (``skipped``), or an error in one line."""

    task: Task
    key: str = ""
    audio_ms: int = 0
    contents: Mapping[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    skipped: bool = False
    error: str = ""


def make_key(audio_digest: str, transcriber: Transcriber, options: WriteOptions, name: str) -> str:
    """Return the digest of all that a result depends on, formats apart."""
    parts = {
        "audio": audio_digest,
        "model": transcriber.engine.ref.digest,
        "settings": transcriber.settings_digest,
        "write": "verbatim" if options.verbatim else [__version__, options.template],
        "name": name,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def do_task(
    transcriber: Transcriber, task: Task, options: WriteOptions, done: frozenset[str]
) -> Iterator[Progress | Rendered]:
    """Yield progress, then what came of the recording; an error becomes part of that, so that the others are done."""
    try:
        if done and (key := make_key(digest_recording(task.path), transcriber, options, task.name)) in done:
            yield Rendered(task, key, skipped=True)
            return
        with transcriber.open(task.path, task.label) as transcription:
            for _ in transcription:
                yield Progress(task.number, transcription.position_ms, transcription.declared_ms)
            transcript = transcription.transcript()
        # The file may have changed since it was hashed: the key is that of the bytes that were heard.
        key = make_key(transcript.audio_digest, transcriber, options, task.name)
        document = write_document(transcript, options)
        contents = {item: render(item, transcript, document) for item in options.formats}
        result = Rendered(task, key, transcript.duration_ms, contents, transcript.warnings)
    except MedsttError as error:
        result = Rendered(task, error=_naming(task.label, error))
    except MemoryError:
        result = Rendered(task, error=f"{task.label}: not enough memory. Close other programs or lower --jobs")
    except Exception as error:  # a fault of ours in one recording must not cost the thousand others
        fault = f"{type(error).__name__}: {error}"
        result = Rendered(task, error=f"{task.label}: internal fault ({fault}). Please report it")
    yield result


def write_document(transcript: Transcript, options: WriteOptions) -> Document | None:
    """Return the written report, or None where the verbatim words are wanted or nothing was said."""
    if options.verbatim or not transcript.words:
        return None
    return format_text(transcript, transcript.language, options.template)


def _naming(label: str, error: MedsttError) -> str:
    """Return an error in one line that begins with the recording's label."""
    text = str(error)
    name = Path(label).name
    if text.startswith(label):
        return text
    return label + text[len(name) :] if text.startswith(f"{name}:") else f"{label}: {text}"
