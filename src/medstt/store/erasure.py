"""The end of a dictation: erased on request or past its tenant's retention, with a tombstone in the audit.

Knows nothing of what a dictation is for.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, or_, select, update

from medstt.errors import NotFoundError
from medstt.store.audit import Audit
from medstt.store.database import Database
from medstt.store.objects import ObjectStore
from medstt.store.record import ERASING, FAILED, READY
from medstt.store.tables import CorrectionRow, DictationRow


class Erasures:
    """Erases dictations, and finishes what a crash interrupted."""

    def __init__(self, database: Database, objects: ObjectStore, audit: Audit) -> None:
        self._database, self._objects, self._audit = database, objects, audit

    def erase(self, tenant: str, dictation: str, actor: str, cause: str = "request") -> None:
        """Erase audio, texts, wrapped keys and metadata; raises NotFoundError. A tombstone stays in the audit.

        The row is marked first, so that a crash in the middle is finished by ``finish``.
        """
        with self._database.write() as connection:
            marked = connection.execute(
                update(DictationRow)
                .where(DictationRow.id == dictation, DictationRow.tenant == tenant, DictationRow.status != ERASING)
                .values(status=ERASING, lease_token=None, reason_code=cause, worker=actor[:128])
            )
            if not marked.rowcount:
                raise NotFoundError("no such dictation")
        self._finish(tenant, dictation, actor, cause)

    def finish(self) -> int:
        """Complete erasures that a crash interrupted; returns how many."""
        query = select(DictationRow.id, DictationRow.tenant, DictationRow.worker, DictationRow.reason_code)
        with self._database.read() as connection:
            rows = connection.execute(query.where(DictationRow.status == ERASING)).all()
        for row in rows:
            self._finish(row.tenant, row.id, row.worker or "system", row.reason_code or "request")
        return len(rows)

    def _finish(self, tenant: str, dictation: str, actor: str, cause: str) -> None:
        columns = (DictationRow.audio_object, DictationRow.transcript_object, DictationRow.document_object)
        with self._database.read() as connection:
            held = connection.execute(select(*columns).where(DictationRow.id == dictation)).one_or_none()
            more = connection.scalars(select(CorrectionRow.object).where(CorrectionRow.dictation == dictation)).all()
        for name in [*(held or ()), *more]:
            if name is not None:
                self._objects.delete(name)
        with self._database.write() as connection:
            connection.execute(delete(CorrectionRow).where(CorrectionRow.dictation == dictation))
            gone = connection.execute(delete(DictationRow).where(DictationRow.id == dictation))
            if gone.rowcount:
                self._audit.append(connection, tenant, actor, "dictation.erased", dictation, {"cause": cause})
        self._database.scrub()

    def expired(self, tenant: str, days: int, limit: int = 500) -> Sequence[str]:
        """Return ids of dictations older than a tenant's retention that are not being processed."""
        with self._database.read() as connection:
            before = self._database.now_ms(connection) - days * 86_400_000
            query = (
                select(DictationRow.id)
                .where(
                    DictationRow.tenant == tenant,
                    DictationRow.created_ms < before,
                    or_(DictationRow.status == READY, DictationRow.status == FAILED),
                )
                .order_by(DictationRow.created_ms)
                .limit(limit)
            )
            return connection.scalars(query).all()
