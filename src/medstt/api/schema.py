"""What goes over the wire: request and response bodies as pydantic models, which the OpenAPI description is made from.

Knows nothing of how they are answered.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from medstt.store.record import Dictation
from medstt.values import LANGUAGES

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")
]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Body = Annotated[str, StringConstraints(max_length=100_000, pattern=r"^[^\x00]*$")]
Plain = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Priority = Literal["stat", "urgent", "routine"]
LanguageName = Literal["auto", "en", "de"]
Status = Literal["received", "processing", "ready", "failed"]
ReportState = Literal["preliminary", "final", "amended"]
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Ms = Annotated[int, Field(ge=0, le=2**53)]

assert set(LanguageName.__args__) == {"auto", *LANGUAGES}  # type: ignore[attr-defined]


class Strict(BaseModel):
    """A body that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error, as RFC 9457 describes."""

    type: str
    title: str
    status: int
    detail: str
    code: str


class OpenAIErrorBody(BaseModel):
    """What OpenAI's clients expect inside an error."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """An error in OpenAI's shape."""

    error: OpenAIErrorBody


# dictations


class DictationForm(Strict):
    """The fields beside the recording when a dictation is created."""

    author: Name | None = Field(None, description="Who dictates; the key's person if left out.")
    priority: Priority = "routine"
    language: LanguageName = "auto"
    template: Line | None = None
    specialty: Line | None = None
    patient: Line | None = Field(None, description="The site's reference of the patient.")
    encounter: Line | None = None
    consent: bool = Field(False, description="May be learned from.")


class AudioView(BaseModel):
    """The recording of a dictation."""

    media_type: str
    size_bytes: int
    sha256: str
    duration_ms: int | None


class FailureView(BaseModel):
    """Why the last attempt failed."""

    code: str
    message: str


class DictationView(BaseModel):
    """A dictation; times are Unix milliseconds. ``version`` is also the ETag."""

    id: str
    status: Status
    report_state: ReportState
    version: int
    author: str
    department: str
    created_ms: int
    updated_ms: int
    ready_ms: int | None
    priority: Priority
    attempts: int
    progress_ms: int
    failure: FailureView | None
    language: LanguageName
    template: str | None
    specialty: str | None
    patient: str | None
    encounter: str | None
    consent: bool
    file_name: str | None
    audio: AudioView
    signed_by: str | None
    signed_ms: int | None
    facts: dict[str, Any] | None


def view(dictation: Dictation) -> DictationView:
    """Return a dictation as it goes over the wire."""
    values = {name: getattr(dictation, name) for name in DictationView.model_fields if hasattr(dictation, name)}
    failure = None
    if dictation.reason is not None:
        failure = FailureView(code=dictation.reason_code or "error", message=dictation.reason)
    audio = AudioView(
        media_type=dictation.media_type,
        size_bytes=dictation.size_bytes,
        sha256=dictation.audio_digest,
        duration_ms=dictation.duration_ms,
    )
    return DictationView(**values, failure=failure, audio=audio)


class DictationPage(BaseModel):
    """A page of dictations, newest first; ``cursor`` asks for the next one."""

    items: list[DictationView]
    cursor: str | None


class WordView(BaseModel):
    """A word as it was heard."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float


class SegmentView(BaseModel):
    """A phrase as it was heard; log-probability per token, natural."""

    start_ms: int
    end_ms: int
    text: str
    language: str
    logprob: float
    no_speech: float


class TranscriptView(BaseModel):
    """The verbatim words; never edited."""

    text: str
    language: str
    duration_ms: int
    model: dict[str, str]
    settings_digest: str
    audio_digest: str
    words: list[WordView]
    segments: list[SegmentView]
    warnings: list[str]


class SpanView(BaseModel):
    """Characters of the document and the words behind them."""

    start: int
    end: int
    words: list[int]
    rule: str
    origin: str


class FlagView(BaseModel):
    """A doubt about characters of the document."""

    start: int
    end: int
    reason: str
    message: str
    severity: str


class SectionView(BaseModel):
    """A titled part of the document."""

    key: str
    title: str
    start: int
    end: int


class DocumentView(BaseModel):
    """The report as it reads now; spans point to ``words``. Changed passages have no span."""

    text: str
    language: str
    version: int
    report_state: ReportState
    corrections: int
    spans: list[SpanView]
    flags: list[FlagView]
    sections: list[SectionView]
    words: list[WordView]
    warnings: list[str]


class EditBody(Strict):
    """Characters ``start``..``end`` of the current text become ``text``."""

    start: int = Field(ge=0, le=2_000_000)
    end: int = Field(ge=0, le=2_000_000)
    text: Body


class CorrectionBody(Strict):
    """Either the whole new text or edits of the current one."""

    text: Body | None = None
    edits: list[EditBody] | None = Field(None, max_length=10_000)


class CorrectionView(BaseModel):
    """A correction in the history."""

    number: int
    author: str
    at_ms: int
    text: str
    edits: list[dict[str, Any]]
    edit_distance: int
    length: int


class ReopenBody(Strict):
    """Why a signed report is opened again."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=2000)]


# administration


class KeyBody(Strict):
    """A new key."""

    person: Name
    role: Literal["clinician", "typist", "reviewer", "integrator", "admin"]
    department: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")] = ""
    scopes: list[str] | None = Field(None, max_length=50, description="Permissions it is narrowed to.")
    days: float | None = Field(None, gt=0, le=3650, description="Days until it expires.")


class KeyView(BaseModel):
    """A key without its secret."""

    id: str
    person: str
    department: str
    role: str
    scopes: list[str] | None
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None


class IssuedKey(BaseModel):
    """A key's secret, the only time it is seen."""

    key: str


class Me(BaseModel):
    """Whose key this is and what it may do."""

    key: str
    tenant: str
    person: str
    department: str
    role: str
    permissions: list[str]


class SessionBody(Strict):
    """The key to sign in with."""

    key: str = Field(max_length=200)


class AuditView(BaseModel):
    """An audit entry."""

    number: int
    at_ms: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class AuditPage(BaseModel):
    """Entries after a number, oldest first."""

    items: list[AuditView]


class VerdictView(BaseModel):
    """Whether the chain is whole, and its head to note elsewhere."""

    entries: int
    head: str
    problem: str | None


class RetentionBody(Strict):
    """Days after which dictations are erased; null keeps them."""

    days: int | None = Field(ge=1, le=36_500)


class Health(BaseModel):
    """A sign of life."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether requests can be served, part by part."""

    ready: bool
    parts: dict[str, str]


class ModelView(BaseModel):
    """A model, in OpenAI's shape."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """The models that may be named, in OpenAI's shape."""

    object: Literal["list"]
    data: list[ModelView]
