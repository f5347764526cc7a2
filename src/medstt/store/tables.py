"""The tables: tenants, API keys, dictations, corrections, vocabulary and the audit chain.

Holds no patient content: audio, transcripts, documents and corrections are encrypted objects that rows name; patient
references are encrypted fields. Knows nothing of queries or rules.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Declarative base with explicit constraint names, so that migrations can drop what they made."""

    metadata = MetaData(naming_convention=NAMING)


class TenantRow(Base):
    """One organisation; nothing crosses from one tenant to another."""

    __tablename__ = "tenant"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    retention_days: Mapped[int | None] = mapped_column(Integer)


class KeyRow(Base):
    """One API key: only a keyed hash of its secret."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenant.id"), index=True)
    person: Mapped[str] = mapped_column(String(200))
    department: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[list[str] | None] = mapped_column(JSON)
    secret_hash: Mapped[str] = mapped_column(String(64))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    expires_ms: Mapped[int | None] = mapped_column(BigInteger)
    revoked_ms: Mapped[int | None] = mapped_column(BigInteger)


class SessionRow(Base):
    """One signed-in browser: a keyed hash of its cookie, bound to the API key it came from."""

    __tablename__ = "browser_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(ForeignKey("api_key.id"), index=True)
    expires_ms: Mapped[int] = mapped_column(BigInteger)


class DictationRow(Base):
    """One dictation, which is also its job: status, lease, attempts, turn."""

    __tablename__ = "dictation"
    __table_args__ = (
        Index("ix_dictation_queue", "status", "priority", "turn", "created_ms"),
        Index("ix_dictation_lane", "status", "priority", "tenant", "author", "turn"),
        Index("ix_dictation_lease", "status", "lease_until_ms"),
        Index("ix_dictation_list", "tenant", "created_ms", "id"),
        Index("ix_dictation_patient", "tenant", "patient_hash"),
        UniqueConstraint("tenant", "idempotency_key"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenant.id"))
    author: Mapped[str] = mapped_column(String(200))
    department: Mapped[str] = mapped_column(String(200))
    created_by: Mapped[str] = mapped_column(String(16))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    updated_ms: Mapped[int] = mapped_column(BigInteger)
    # the job
    status: Mapped[str] = mapped_column(String(12))
    priority: Mapped[int] = mapped_column(Integer)
    turn: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(Integer)
    not_before_ms: Mapped[int] = mapped_column(BigInteger)
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until_ms: Mapped[int | None] = mapped_column(BigInteger)
    worker: Mapped[str | None] = mapped_column(String(128))
    progress_ms: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(Text)
    reason_code: Mapped[str | None] = mapped_column(String(64))
    # what was asked
    language: Mapped[str] = mapped_column(String(8))
    template: Mapped[str | None] = mapped_column(String(200))
    specialty: Mapped[str | None] = mapped_column(String(200))
    consent: Mapped[bool] = mapped_column(Boolean)
    patient_secret: Mapped[str | None] = mapped_column(Text)
    patient_hash: Mapped[str | None] = mapped_column(String(64))
    encounter_secret: Mapped[str | None] = mapped_column(Text)
    file_name_secret: Mapped[str | None] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    request_digest: Mapped[str] = mapped_column(String(64))
    # the recording
    media_type: Mapped[str] = mapped_column(String(100))
    audio_object: Mapped[str | None] = mapped_column(String(64))
    audio_digest: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    # the result
    ready_ms: Mapped[int | None] = mapped_column(BigInteger)
    transcript_object: Mapped[str | None] = mapped_column(String(64))
    document_object: Mapped[str | None] = mapped_column(String(64))
    facts: Mapped[dict[str, object] | None] = mapped_column(JSON)
    report_state: Mapped[str] = mapped_column(String(12))
    version: Mapped[int] = mapped_column(Integer)
    signed_by: Mapped[str | None] = mapped_column(String(200))
    signed_ms: Mapped[int | None] = mapped_column(BigInteger)


class CorrectionRow(Base):
    """One correction or reopening, appended; its text, edits or reason are an encrypted object."""

    __tablename__ = "correction"

    dictation: Mapped[str] = mapped_column(ForeignKey("dictation.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(12))
    author: Mapped[str] = mapped_column(String(200))
    at_ms: Mapped[int] = mapped_column(BigInteger)
    object: Mapped[str] = mapped_column(String(64))
    edit_distance: Mapped[int] = mapped_column(Integer)
    length: Mapped[int] = mapped_column(Integer)


class VocabularyRow(Base):
    """One version of a team's word list, auto-texts or templates; versions are appended."""

    __tablename__ = "vocabulary"

    tenant: Mapped[str] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    layer: Mapped[str] = mapped_column(String(16), primary_key=True)
    owner: Mapped[str] = mapped_column(String(200), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    content: Mapped[list[dict[str, object]]] = mapped_column(JSON)
    digest: Mapped[str] = mapped_column(String(64))
    author: Mapped[str] = mapped_column(String(200))
    at_ms: Mapped[int] = mapped_column(BigInteger)


class AuditRow(Base):
    """One entry of a tenant's audit chain: ``mac`` covers the entry and the one before it."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_subject", "tenant", "subject"),)

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(200))
    detail: Mapped[str] = mapped_column(Text)
    mac: Mapped[str] = mapped_column(String(64))


class AuditHeadRow(Base):
    """The last entry of each chain; locked while the next one is appended."""

    __tablename__ = "audit_head"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    mac: Mapped[str] = mapped_column(String(64))


# The same tables for statements that are built once and run with parameters, which costs half of building them anew.
DICTATION = Base.metadata.tables["dictation"]
AUDIT = Base.metadata.tables["audit"]
AUDIT_HEAD = Base.metadata.tables["audit_head"]
