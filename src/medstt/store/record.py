"""A dictation's nouns: what is asked for a recording, what is kept of it, and what its readers see.

Knows nothing of where they are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RECEIVED, PROCESSING, READY, FAILED, ERASING = "received", "processing", "ready", "failed", "erasing"
STATUSES = (RECEIVED, PROCESSING, READY, FAILED)
PRELIMINARY, FINAL, AMENDED = "preliminary", "final", "amended"
REPORT_STATES = (PRELIMINARY, FINAL, AMENDED)
PRIORITIES: Mapping[str, int] = {"stat": 0, "urgent": 1, "routine": 2}
PRIORITY_NAMES = {number: name for name, number in PRIORITIES.items()}


@dataclass(frozen=True, slots=True)
class Request:
    """What the caller asks for a recording; all texts are already checked for length."""

    author: str
    department: str = ""
    priority: str = "routine"
    language: str = "auto"
    template: str | None = None
    specialty: str | None = None
    consent: bool = False
    patient: str | None = None
    encounter: str | None = None
    file_name: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A stored recording: its object, SHA-256, size and media type."""

    object: str
    digest: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Dictation:
    """One dictation as its readers see it; times are Unix milliseconds."""

    id: str
    tenant: str
    author: str
    department: str
    created_ms: int
    updated_ms: int
    status: str
    priority: str
    attempts: int
    progress_ms: int
    reason: str | None
    reason_code: str | None
    language: str
    template: str | None
    specialty: str | None
    consent: bool
    patient: str | None
    encounter: str | None
    file_name: str | None
    media_type: str
    audio_object: str | None
    audio_digest: str
    size_bytes: int
    duration_ms: int | None
    ready_ms: int | None
    transcript_object: str | None
    document_object: str | None
    facts: Mapping[str, object] | None
    report_state: str
    version: int
    signed_by: str | None
    signed_ms: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a dictation is, as those who follow it are told."""

    status: str
    progress_ms: int
    duration_ms: int | None
    attempts: int
    version: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Amendment:
    """One stored correction: its number, who and when, what became of the text, and how far it moved."""

    number: int
    author: str
    at_ms: int
    text: str
    edits: tuple[Mapping[str, object], ...]
    edit_distance: int
    length: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing and the cursor of the next one, or None."""

    items: Sequence[Dictation]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dictations to list; None does not filter. Times are Unix milliseconds."""

    status: str | None = None
    author: str | None = None
    patient: str | None = None
    specialty: str | None = None
    report_state: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
