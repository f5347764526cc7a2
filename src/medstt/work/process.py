"""One claimed dictation from stored sound to transcript, document and facts.

Knows nothing of leases, threads or HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from medstt.engine.protocol import Capabilities
from medstt.errors import DataError
from medstt.store.objects import ObjectStore
from medstt.store.queue import Job, Result
from medstt.values import Document, Transcript
from medstt.work.content import encode_document, encode_transcript
from medstt.work.facts import Known, measure
from medstt.work.models import Models
from medstt.work.recognise import Wanted
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


Listener = Callable[[Capabilities, Style], Wanted]  # what somebody is listened for by a model


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
        with self.models.lease(self.model) as model:
            wanted = self.listen(model.capabilities, style)
            transcript = model.transcribe(audio, wanted, lambda _, done_ms: progress(done_ms))
        written = self.write(transcript, style)
        facts = measure(audio, transcript, written.document, written.known, written.digests)
        return Result(encode_transcript(transcript), encode_document(written.document), transcript.duration_ms, facts)
