"""A stored dictation's report as a file for other systems: one table of formats over the text formats, Word and FHIR.

Knows nothing of stores or requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medstt.errors import OptionError
from medstt.export.table import render
from medstt.values import Document, Transcript


@dataclass(frozen=True, slots=True)
class ExportKind:
    """A format's media type and file suffix."""

    media_type: str
    suffix: str


EXPORTS: dict[str, ExportKind] = {
    "txt": ExportKind("text/plain", "txt"),
    "json": ExportKind("application/json", "json"),
    "srt": ExportKind("application/x-subrip", "srt"),
    "vtt": ExportKind("text/vtt", "vtt"),
    "docx": ExportKind("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    "fhir-documentreference": ExportKind("application/fhir+json", "json"),
    "fhir-diagnosticreport": ExportKind("application/fhir+json", "json"),
}


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What a report says of itself beside its text; times are Unix milliseconds.

    ``state`` is preliminary, final or amended; ``correctors`` are (name, when) of each correction in order.
    """

    id: str
    author: str
    department: str
    specialty: str | None
    patient: str | None
    encounter: str | None
    created_ms: int
    ready_ms: int
    state: str
    version: int
    signed_by: str | None
    signed_ms: int | None
    audio_digest: str
    correctors: Sequence[tuple[str, int]] = ()


def export(name: str, facts: ReportFacts, transcript: Transcript, document: Document) -> bytes:
    """Return a report as the bytes of a file; raises OptionError for an unknown format."""
    if name not in EXPORTS:
        raise OptionError(f"unknown format {name[:40]!r}", f"Use one of {', '.join(EXPORTS)}.")
    if name == "docx":
        from medstt.export.docx import render_docx

        return render_docx(facts, document)
    if name.startswith("fhir-"):
        from medstt.export.fhir import render_fhir

        return render_fhir(name.removeprefix("fhir-"), facts, transcript, document)
    return render(name, transcript, document)
