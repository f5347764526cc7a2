"""A dictation's life as people see it: accept, list, read, correct, sign, reopen.

Every query names the tenant; every change is audited in its own transaction. Knows nothing of workers' leases (see
``queue``), of HTTP or of models.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Integer, Select, bindparam, func, insert, select, tuple_, update
from sqlalchemy.engine import Connection

from medstt.errors import ConflictError, MedsttError, NotFoundError, OptionError, StaleError, TooManyRequests
from medstt.store.audit import Audit
from medstt.store.crypt import KeyRing
from medstt.store.database import Database
from medstt.store.objects import ObjectStore
from medstt.store.record import (
    AMENDED,
    ERASING,
    FAILED,
    FINAL,
    PRELIMINARY,
    PRIORITIES,
    PRIORITY_NAMES,
    READY,
    RECEIVED,
    Amendment,
    Dictation,
    Filter,
    Page,
    Progress,
    Recording,
    Request,
)
from medstt.store.tables import DICTATION, CorrectionRow, DictationRow

CURSOR = re.compile(r"[0-9]{1,15}:[0-9a-f]{32}")

# What runs for each dictation, built once.
_ROW = DICTATION.c
_INSERT = insert(DICTATION)
_ONE = select(DICTATION).where(
    _ROW.id == bindparam("dictation"), _ROW.tenant == bindparam("of"), _ROW.status != ERASING
)
_PROGRESS = select(
    *(_ROW.id, _ROW.status, _ROW.progress_ms, _ROW.duration_ms, _ROW.attempts, _ROW.version, _ROW.reason)
).where(_ROW.tenant == bindparam("of"), _ROW.id.in_(bindparam("dictations", expanding=True)), _ROW.status != ERASING)
_WAITING = select(_ROW.id).where(_ROW.status == RECEIVED).offset(bindparam("beyond", type_=Integer)).limit(1)
_HEAD = select(func.min(_ROW.turn)).where(_ROW.status == RECEIVED, _ROW.priority == bindparam("level"))
_OWN_LAST = select(func.max(_ROW.turn)).where(
    _ROW.status == RECEIVED,
    _ROW.priority == bindparam("level"),
    _ROW.tenant == bindparam("of"),
    _ROW.author == bindparam("by"),
)


def _place(dictation: str, field: str) -> str:
    return f"dictation/{dictation}/{field}"


def new_id() -> str:
    """Return an id that nobody can guess: 128 random bits as hex."""
    return secrets.token_hex(16)


class Dictations:
    """The clinician's and the integrator's side of the dictation table."""

    def __init__(
        self, database: Database, objects: ObjectStore, ring: KeyRing, audit: Audit, queue_limit: int = 100_000
    ) -> None:
        self._database, self._objects, self._ring, self._audit = database, objects, ring, audit
        self._queue_limit = queue_limit

    # accept

    def create(self, tenant: str, key: str, request: Request, recording: Recording) -> tuple[Dictation, bool]:
        """Accept a stored recording; returns the dictation and whether it is new.

        The same Idempotency-Key with the same request returns the first dictation, with another request raises
        ConflictError. The caller deletes the recording's object when the result is not new.
        """
        digest = self._request_digest(request, recording)
        with self._database.write() as connection:
            if request.idempotency_key is not None and (
                known := self._repeated(connection, tenant, request.idempotency_key, digest)
            ):
                return known, False
            self._refuse_when_full(connection)
            dictation = new_id()
            now = self._database.now_ms(connection)
            values = self._columns(dictation, tenant, key, request, recording, digest, now)
            values["turn"] = next_turn(connection, tenant, request.author, PRIORITIES[request.priority])
            connection.execute(_INSERT, values)
            detail = {"audio": recording.digest, "bytes": recording.size_bytes}
            self._audit.append(connection, tenant, request.author, "dictation.created", dictation, detail)
            return self._dictation(SimpleNamespace(**values)), True

    def _columns(
        self, dictation: str, tenant: str, key: str, request: Request, recording: Recording, digest: str, now: int
    ) -> dict[str, object]:
        def sealed(value: str | None, field: str) -> str | None:
            return None if value is None else self._ring.seal(value, _place(dictation, field))

        return {
            "id": dictation,
            "tenant": tenant,
            "author": request.author,
            "department": request.department,
            "created_by": key,
            "created_ms": now,
            "updated_ms": now,
            "status": RECEIVED,
            "priority": PRIORITIES[request.priority],
            "attempts": 0,
            "not_before_ms": 0,
            "progress_ms": 0,
            "language": request.language,
            "template": request.template,
            "specialty": request.specialty,
            "consent": request.consent,
            "patient_secret": sealed(request.patient, "patient"),
            "patient_hash": None if request.patient is None else self._patient_hash(tenant, request.patient),
            "encounter_secret": sealed(request.encounter, "encounter"),
            "file_name_secret": sealed(request.file_name, "file_name"),
            "idempotency_key": request.idempotency_key,
            "request_digest": digest,
            "media_type": recording.media_type,
            "audio_object": recording.object,
            "audio_digest": recording.digest,
            "size_bytes": recording.size_bytes,
            "report_state": PRELIMINARY,
            "version": 1,
        }

    def _request_digest(self, request: Request, recording: Recording) -> str:
        fields = [getattr(request, name) for name in Request.__slots__ if name != "idempotency_key"]
        return self._ring.keyed_hash(json.dumps([*fields, recording.digest]), "request")

    def _repeated(self, connection: Connection, tenant: str, key: str, digest: str) -> Dictation | None:
        query = select(DictationRow.id, DictationRow.request_digest).where(
            DictationRow.tenant == tenant, DictationRow.idempotency_key == key
        )
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if row.request_digest != digest:
            raise ConflictError("this Idempotency-Key was used for another request", "Send a new key.")
        return self._read(connection, tenant, row.id)

    def _refuse_when_full(self, connection: Connection) -> None:
        if connection.execute(_WAITING, {"beyond": self._queue_limit - 1}).first() is not None:
            raise TooManyRequests(f"{self._queue_limit} dictations are waiting already", "Retry later.")

    # read

    def get(self, tenant: str, dictation: str) -> Dictation:
        """Return one dictation; raises NotFoundError, also for another tenant's."""
        with self._database.read() as connection:
            return self._read(connection, tenant, dictation)

    def progress(self, tenant: str, dictations: Sequence[str]) -> Mapping[str, Progress]:
        """Return how far each dictation is by its id; one that does not exist is left out."""
        with self._database.read() as connection:
            rows = connection.execute(_PROGRESS, {"of": tenant, "dictations": dictations}).all()
        return {row[0]: Progress(*row[1:]) for row in rows}

    def list(self, tenant: str, which: Filter, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return a page, newest first; the cursor keeps its place while others are added."""
        query = select(DictationRow.__table__).where(DictationRow.tenant == tenant, DictationRow.status != ERASING)
        query = self._filtered(query, tenant, which)
        if cursor is not None:
            query = query.where(tuple_(DictationRow.created_ms, DictationRow.id) < tuple_(*_parse_cursor(cursor)))
        query = query.order_by(DictationRow.created_ms.desc(), DictationRow.id.desc()).limit(limit + 1)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        more = len(rows) > limit
        items = [self._dictation(row) for row in rows[:limit]]
        return Page(items, _cursor(items[-1]) if more else None)

    def _filtered(self, query: Select[Any], tenant: str, which: Filter) -> Select[Any]:
        equal = {
            DictationRow.status: which.status,
            DictationRow.author: which.author,
            DictationRow.specialty: which.specialty,
            DictationRow.report_state: which.report_state,
            DictationRow.patient_hash: which.patient and self._patient_hash(tenant, which.patient),
        }
        for column, value in equal.items():
            if value is not None:
                query = query.where(column == value)
        if which.since_ms is not None:
            query = query.where(DictationRow.created_ms >= which.since_ms)
        if which.until_ms is not None:
            query = query.where(DictationRow.created_ms < which.until_ms)
        return query

    def transcript(self, dictation: Dictation) -> dict[str, Any]:
        """Return the stored verbatim transcript as JSON; raises ConflictError while there is none."""
        return self._content(dictation, dictation.transcript_object)

    def document(self, dictation: Dictation) -> dict[str, Any]:
        """Return the stored document as it was formatted, before any correction; raises ConflictError."""
        return self._content(dictation, dictation.document_object)

    def current_text(self, dictation: Dictation) -> str:
        """Return the document's text after the last correction."""
        amendments = self.corrections(dictation)
        return amendments[-1].text if amendments else str(self.document(dictation)["text"])

    def corrections(self, dictation: Dictation) -> Sequence[Amendment]:
        """Return every correction in order."""
        query = select(CorrectionRow.__table__).where(
            CorrectionRow.dictation == dictation.id,
            CorrectionRow.tenant == dictation.tenant,
            CorrectionRow.kind == "correction",
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(CorrectionRow.number)).all()
        found = []
        for row in rows:
            body = json.loads(self._objects.get(row.object))
            found.append(
                Amendment(
                    row.number, row.author, row.at_ms, body["text"], tuple(body["edits"]), row.edit_distance, row.length
                )
            )
        return found

    def _content(self, dictation: Dictation, name: str | None) -> dict[str, Any]:
        if name is None:
            raise not_ready(dictation)
        content: dict[str, Any] = json.loads(self._objects.get(name))
        return content

    def seen(self, dictation: Dictation, actor: str, action: str, detail: Mapping[str, object] | None = None) -> None:
        """Record that somebody saw or took a copy."""
        self._audit.record(dictation.tenant, actor, action, dictation.id, detail)

    # change

    def correct(
        self,
        dictation: Dictation,
        version: int,
        actor: str,
        text: str,
        edits: Sequence[Mapping[str, object]],
        edit_distance: int,
    ) -> Dictation:
        """Append a correction made on ``version``; raises StaleError if it is not the current one.

        A signed dictation raises ConflictError: reopen it first.
        """
        if dictation.document_object is None:
            raise not_ready(dictation)
        name = self._objects.put(json.dumps({"text": text, "edits": list(edits)}, ensure_ascii=False).encode())
        try:
            with self._database.write() as connection:
                row = self._lock(connection, dictation, version)
                if row.report_state != PRELIMINARY:
                    raise ConflictError("a signed dictation cannot be changed", "Reopen it with a reason first.")
                now = self._database.now_ms(connection)
                measures = {"edit_distance": edit_distance, "length": len(text)}
                number = self._append(connection, dictation, "correction", actor, name, now, measures)
                detail = {"number": number, "edit_distance": edit_distance}
                return self._changed(connection, dictation, now, actor, "dictation.corrected", detail, {})
        except MedsttError:
            self._objects.delete(name)
            raise

    def _append(
        self,
        connection: Connection,
        dictation: Dictation,
        kind: str,
        actor: str,
        name: str,
        now: int,
        measures: Mapping[str, int],
    ) -> int:
        count = select(func.count()).where(CorrectionRow.dictation == dictation.id)
        number = connection.execute(count).scalar_one() + 1
        connection.execute(
            insert(CorrectionRow).values(
                dictation=dictation.id,
                number=number,
                tenant=dictation.tenant,
                kind=kind,
                author=actor,
                at_ms=now,
                object=name,
                **measures,
            )
        )
        return int(number)

    def sign(self, dictation: Dictation, version: int, actor: str) -> Dictation:
        """Make the report final (amended if it was signed before); raises StaleError, ConflictError."""
        with self._database.write() as connection:
            row = self._lock(connection, dictation, version)
            if row.status != READY:
                raise not_ready(dictation)
            if row.report_state != PRELIMINARY:
                raise ConflictError("the dictation is signed already")
            now = self._database.now_ms(connection)
            state = FINAL if row.signed_ms is None else AMENDED
            values = {"report_state": state, "signed_by": actor, "signed_ms": now}
            return self._changed(connection, dictation, now, actor, "dictation.signed", {"state": state}, values)

    def reopen(self, dictation: Dictation, version: int, actor: str, reason: str) -> Dictation:
        """Make a signed report preliminary again; the reason is kept, encrypted, in the history."""
        name = self._objects.put(json.dumps({"reason": reason}, ensure_ascii=False).encode())
        try:
            with self._database.write() as connection:
                row = self._lock(connection, dictation, version)
                if row.report_state == PRELIMINARY:
                    raise ConflictError("the dictation is not signed")
                now = self._database.now_ms(connection)
                measures = {"edit_distance": 0, "length": 0}
                number = self._append(connection, dictation, "reopening", actor, name, now, measures)
                values = {"report_state": PRELIMINARY}
                detail = {"number": number}
                return self._changed(connection, dictation, now, actor, "dictation.reopened", detail, values)
        except MedsttError:
            self._objects.delete(name)
            raise

    def _lock(self, connection: Connection, dictation: Dictation, version: int) -> Any:
        query = select(DictationRow.__table__).where(
            DictationRow.id == dictation.id,
            DictationRow.tenant == dictation.tenant,
            DictationRow.status != ERASING,
        )
        row = connection.execute(query.with_for_update()).one_or_none()
        if row is None:
            raise NotFoundError("no such dictation")
        if row.version != version:
            raise StaleError(
                f"the dictation has changed since version {version}; it is now version {row.version}",
                "Read it again, then repeat your change.",
            )
        return row

    def _changed(
        self,
        connection: Connection,
        dictation: Dictation,
        now: int,
        actor: str,
        action: str,
        detail: Mapping[str, object],
        values: Mapping[str, object],
    ) -> Dictation:
        connection.execute(
            update(DictationRow)
            .where(DictationRow.id == dictation.id, DictationRow.tenant == dictation.tenant)
            .values(**values, version=DictationRow.version + 1, updated_ms=now)
        )
        self._audit.append(connection, dictation.tenant, actor, action, dictation.id, detail)
        return self._read(connection, dictation.tenant, dictation.id)

    # rows

    def _read(self, connection: Connection, tenant: str, dictation: str) -> Dictation:
        row = connection.execute(_ONE, {"of": tenant, "dictation": dictation}).one_or_none()
        if row is None:
            raise NotFoundError("no such dictation")
        return self._dictation(row)

    def _dictation(self, row: Any) -> Dictation:
        def opened(sealed: str | None, field: str) -> str | None:
            return None if sealed is None else self._ring.unseal(sealed, _place(row.id, field))

        values: dict[str, Any] = {name: getattr(row, name, None) for name in Dictation.__slots__}
        values["priority"] = PRIORITY_NAMES[row.priority]
        values["patient"] = opened(row.patient_secret, "patient")
        values["encounter"] = opened(row.encounter_secret, "encounter")
        values["file_name"] = opened(row.file_name_secret, "file_name")
        return Dictation(**values)

    def _patient_hash(self, tenant: str, patient: str) -> str:
        return self._ring.keyed_hash(f"{tenant}/{patient}", "patient")


def next_turn(connection: Connection, tenant: str, author: str, priority: int) -> int:
    """Return the queue turn of an author's next dictation: start-time fair queueing (Goyal, Vin, Cheng 1996).

    An author's own dictations take consecutive turns; somebody who comes new starts at the head of the queue, so one
    author with a thousand recordings delays another by one, not by a thousand.
    """
    given = {"level": priority, "of": tenant, "by": author}
    head = connection.execute(_HEAD, given).scalar_one()
    last = connection.execute(_OWN_LAST, given).scalar_one()
    return max(head or 0, 0 if last is None else last + 1)


def not_ready(dictation: Dictation) -> ConflictError:
    """Return the error for content that is not there yet, or will never be."""
    if dictation.status == FAILED:
        return ConflictError(f"the dictation failed: {dictation.reason}", "Retry it or upload the recording again.")
    return ConflictError(f"the dictation is {dictation.status}, not ready", "Wait until its status is ready.")


def _cursor(last: Dictation) -> str:
    return base64.urlsafe_b64encode(f"{last.created_ms}:{last.id}".encode()).decode().rstrip("=")


def _parse_cursor(cursor: str) -> tuple[int, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        if CURSOR.fullmatch(text) is None:
            raise ValueError(text)
        created, _, dictation = text.partition(":")
        return int(created), dictation
    except ValueError as error:
        raise OptionError("the cursor is not one that was given out", "Start the listing again without it.") from error
