"""One claimed dictation from stored sound to transcript, document and facts.

Knows nothing of leases, threads or HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from medstt.engine.bias import Names
from medstt.engine.protocol import DecodeOptions, Engine
from medstt.errors import DataError
from medstt.store.objects import ObjectStore
from medstt.store.queue import Job, Result
from medstt.transcriber import TranscribeOptions, Transcriber
from medstt.values import Audio, Document, Hypothesis, Transcript
from medstt.work.content import encode_document, encode_transcript
from medstt.work.facts import Known, measure
from medstt.work.models import Models
from medstt.work.sandbox import Sandbox, SealedFile


@dataclass(frozen=True, slots=True)
class Style:
    """How to write the words: for whom, in which language (None: the transcript's), by which template."""

    tenant: str
    department: str
    person: str
    language: str | None = None
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A document, and what it was written with: digests by name, and how many of a list of words are known terms."""

    document: Document
    digests: dict[str, str]
    known: Known


class Writer(Protocol):
    """Turns a transcript into a document with a team's vocabulary, auto-texts and templates."""

    def __call__(self, transcript: Transcript, style: Style) -> Written:
        """Write the document; raises VocabError for a template that does not exist."""
        ...


Listener = Callable[[Engine, Style], Names]  # what listens for a team's names in a model
Heard = Callable[[Hypothesis, int], None]  # a hypothesis and how far decoding has come, in milliseconds


def transcribe(engine: Engine, names: Names, audio: Audio, language: str, heard: Heard) -> Transcript:
    """Transcribe with the service's options, telling ``heard`` phrase by phrase; ``language`` may be "auto"."""
    asked = None if language == "auto" else language
    options = replace(TranscribeOptions(), decode=DecodeOptions(language=asked))
    transcriber = Transcriber(engine, options, names.bias, names.check, names.warnings)
    with transcriber.open(audio) as transcription:
        for hypothesis in transcription:
            heard(hypothesis, transcription.position_ms)
        return transcription.transcript()


@dataclass(frozen=True, slots=True)
class Processor:
    """What processing needs, wired once."""

    objects: ObjectStore
    sandbox: Sandbox
    models: Models
    model: str
    write: Writer
    listen: Listener

    def run(self, job: Job, progress: Callable[[int], None]) -> Result:
        """Return the result of a job; ``progress`` gets milliseconds of sound done and may raise to stop the work.

        Raises DataError when the stored recording is not the one that was accepted, AudioError and other errors as
        the parts do.
        """
        file = SealedFile(self.objects.path(job.audio_object), self.objects.key(job.audio_object), "The recording")
        audio = self.sandbox.decode(file)
        if audio.digest != job.audio_digest:
            raise DataError("the stored recording is not the one that was accepted", "Restore it from a backup.")
        progress(0)
        asked = None if job.language == "auto" else job.language
        style = Style(job.tenant, job.department, job.author, asked, job.template)
        with self.models.lease(self.model) as engine:
            names = self.listen(engine, style)
            transcript = transcribe(engine, names, audio, job.language, lambda _, done_ms: progress(done_ms))
        written = self.write(transcript, style)
        facts = measure(audio, transcript, written.document, written.known, written.digests)
        return Result(encode_transcript(transcript), encode_document(written.document), transcript.duration_ms, facts)
