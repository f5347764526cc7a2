"""The worker's side of the dictation table: claim with a lease, renew, finish, fail, give back.

The row is the job. A lease that runs out is claimed by any live worker; the lease's token fences off a worker that
comes back late, so each dictation becomes ready once. Knows nothing of audio or models.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, exists, func, or_, select, update
from sqlalchemy.engine import Connection

from medstt.errors import ConflictError, NotFoundError
from medstt.store.audit import Audit
from medstt.store.database import Database
from medstt.store.dictation import next_turn
from medstt.store.objects import ObjectStore
from medstt.store.record import FAILED, PROCESSING, READY, RECEIVED
from medstt.store.tables import DICTATION, DictationRow

EXPIRED_AT_ONCE = 50
PAUSE = 10  # backoffs until a postponed job is looked at again

# What runs for each dictation, built once. A clock that jumped back must not delay a retry for longer than the longest
# backoff, nor a lease for longer than two: ``retry_far`` and ``lease_far`` are that far from now.
_ROW = DICTATION.c
_DUE = and_(
    _ROW.status == RECEIVED,
    or_(_ROW.not_before_ms <= bindparam("now"), _ROW.not_before_ms > bindparam("retry_far")),
)
_EXPIRED = and_(
    _ROW.status == PROCESSING,
    or_(_ROW.lease_until_ms < bindparam("now"), _ROW.lease_until_ms > bindparam("lease_far")),
)
_ANYTHING = select(
    exists(select(_ROW.id).where(_DUE)).label("due"), exists(select(_ROW.id).where(_EXPIRED)).label("expired")
)
_NEXT = (
    select(_ROW.id)
    .where(_DUE)
    .order_by(_ROW.priority, _ROW.turn, _ROW.created_ms)
    .limit(1)
    .with_for_update(skip_locked=True)
    .correlate(None)
)
_CLAIM = (
    update(DICTATION)
    .where(_ROW.id == _NEXT.scalar_subquery())
    .values(
        status=PROCESSING,
        attempts=_ROW.attempts + 1,
        lease_token=bindparam("token"),
        lease_until_ms=bindparam("until"),
        worker=bindparam("by"),
        progress_ms=0,
        updated_ms=bindparam("now"),
    )
    .returning(
        *(_ROW.id, _ROW.tenant, _ROW.author, _ROW.department, _ROW.attempts, _ROW.language, _ROW.template),
        *(_ROW.audio_object, _ROW.audio_digest, _ROW.media_type),
    )
)
_HELD = and_(
    _ROW.id == bindparam("job"),
    _ROW.tenant == bindparam("of"),
    _ROW.status == PROCESSING,
    _ROW.lease_token == bindparam("token"),
)
_IS_HELD = select(_ROW.id).where(_HELD).with_for_update()
_CHANGE = update(DICTATION).where(_HELD)  # sets the columns that are given as parameters
_FINISH = _CHANGE.values(version=_ROW.version + 1)
_GIVE_BACK = _CHANGE.values(attempts=_ROW.attempts - 1)


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed dictation: what to do, and the token that proves the claim."""

    id: str
    tenant: str
    author: str
    department: str
    token: str
    attempt: int
    language: str
    template: str | None
    audio_object: str
    audio_digest: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Result:
    """What processing yields: transcript and document as JSON values, length, and what learning needs later."""

    transcript: Mapping[str, object]
    document: Mapping[str, object]
    duration_ms: int
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Leases and retries, in milliseconds."""

    lease_ms: int = 60_000
    attempts: int = 3
    backoff_ms: int = 2_000
    backoff_max_ms: int = 300_000


class Queue:
    """Jobs for workers on any number of machines."""

    def __init__(self, database: Database, objects: ObjectStore, audit: Audit, policy: RetryPolicy) -> None:
        self._database, self._objects, self._audit = database, objects, audit
        self.policy = policy

    def claim(self, worker: str) -> Job | None:
        """Take the next dictation that is due, or None; gives expired leases back to the queue first."""
        with self._database.read() as connection:  # an idle worker takes no write lock
            found = connection.execute(_ANYTHING, self._times(self._database.now_ms(connection))).one()
        if not found.due and not found.expired:
            return None
        token = secrets.token_hex(16)
        with self._database.write() as connection:
            now = self._database.now_ms(connection)
            if found.expired:
                self._reclaim(connection, now)
            given = {"token": token, "until": now + self.policy.lease_ms, "by": worker[:128]}
            row = connection.execute(_CLAIM, self._times(now) | given).one_or_none()
            return None if row is None else _job(row, token)

    def _times(self, now: int) -> dict[str, Any]:
        far = {"retry_far": now + self.policy.backoff_max_ms, "lease_far": now + 2 * self.policy.lease_ms}
        return {"now": now, **far}

    def _reclaim(self, connection: Connection, now: int) -> None:
        query = select(_ROW.id, _ROW.tenant, _ROW.attempts).where(_EXPIRED).limit(EXPIRED_AT_ONCE)
        for row in connection.execute(query.with_for_update(skip_locked=True), self._times(now)).all():
            if row.attempts >= self.policy.attempts:
                reason = f"the worker died or hung {row.attempts} times while processing it"
                self._poison(connection, row.tenant, row.id, now, "worker_lost", reason)
            else:
                connection.execute(
                    update(DictationRow)
                    .where(DictationRow.id == row.id)
                    .values(status=RECEIVED, lease_token=None, lease_until_ms=None, updated_ms=now)
                )

    def renew(self, job: Job, progress_ms: int = 0) -> bool:
        """Extend the lease and note the progress; False when the job was lost to another worker or erased."""
        with self._database.write() as connection:
            now = self._database.now_ms(connection)
            values = {"lease_until_ms": now + self.policy.lease_ms, "progress_ms": progress_ms, "updated_ms": now}
            return bool(connection.execute(_CHANGE, _held(job) | values).rowcount)

    def finish(self, job: Job, result: Result) -> None:
        """Store the result and make the dictation ready, once; raises ConflictError when the lease was lost."""
        names: list[str] = []
        try:
            for content in (result.transcript, result.document):
                names.append(self._objects.put(json.dumps(content, ensure_ascii=False).encode()))
            with self._database.write() as connection:
                now = self._database.now_ms(connection)
                values = {
                    "status": READY,
                    "lease_token": None,
                    "lease_until_ms": None,
                    "ready_ms": now,
                    "updated_ms": now,
                    "reason": None,
                    "reason_code": None,
                    "progress_ms": result.duration_ms,
                    "duration_ms": result.duration_ms,
                    "transcript_object": names[0],
                    "document_object": names[1],
                    "facts": dict(result.facts),
                }
                changed = connection.execute(_FINISH, _held(job) | values)
                if not changed.rowcount:
                    raise ConflictError("the lease ran out, another worker has this dictation")
                self._audit.append(connection, job.tenant, "system", "dictation.ready", job.id)
        except BaseException:
            # The commit may have happened although its answer was lost: only objects no row names are removed.
            self._discard(job, names)
            raise

    def _discard(self, job: Job, names: list[str]) -> None:
        with self._database.read() as connection:
            kept = connection.execute(
                select(DictationRow.transcript_object).where(DictationRow.id == job.id)
            ).scalar_one_or_none()
        if kept not in names:
            for name in names:
                self._objects.delete(name)

    def fail(self, job: Job, code: str, reason: str, *, retry: bool) -> None:
        """Record a failure: try again after a backoff that doubles, or give up and keep the reason."""
        with self._database.write() as connection:
            now = self._database.now_ms(connection)
            if not retry or job.attempt >= self.policy.attempts:
                if connection.execute(_IS_HELD, _held(job)).first() is not None:
                    self._poison(connection, job.tenant, job.id, now, code, reason)
                return
            delay = min(self.policy.backoff_ms * 2 ** (job.attempt - 1), self.policy.backoff_max_ms)
            connection.execute(_CHANGE, _held(job) | _waiting(now, now + delay, code, reason))

    def postpone(self, job: Job, code: str, reason: str) -> None:
        """Put back a job that failed through no fault of its own (disk full, model missing): it costs no attempt."""
        with self._database.write() as connection:
            now = self._database.now_ms(connection)
            delay = min(self.policy.backoff_ms * PAUSE, self.policy.backoff_max_ms)
            connection.execute(_GIVE_BACK, _held(job) | _waiting(now, now + delay, code, reason))

    def release(self, job: Job) -> None:
        """Give a job back at shutdown, as if it had not been claimed."""
        values = {"status": RECEIVED, "lease_token": None, "lease_until_ms": None}
        with self._database.write() as connection:
            connection.execute(_GIVE_BACK, _held(job) | values)

    def retry(self, tenant: str, dictation: str, actor: str) -> None:
        """Queue a failed dictation again; raises NotFoundError, or ConflictError if it has not failed."""
        with self._database.write() as connection:
            query = select(DictationRow.__table__).where(DictationRow.id == dictation, DictationRow.tenant == tenant)
            row = connection.execute(query.with_for_update()).one_or_none()
            if row is None:
                raise NotFoundError("no such dictation")
            if row.status != FAILED:
                raise ConflictError(f"the dictation is {row.status}, not failed")
            values = {
                "status": RECEIVED,
                "attempts": 0,
                "not_before_ms": 0,
                "turn": next_turn(connection, tenant, row.author, row.priority),
                "updated_ms": self._database.now_ms(connection),
                "version": DictationRow.version + 1,
            }
            connection.execute(update(DictationRow).where(DictationRow.id == dictation).values(**values))
            self._audit.append(connection, tenant, actor, "dictation.retried", dictation)

    def depth(self) -> dict[str, int]:
        """Return how many dictations have each status, over all tenants."""
        query = select(DictationRow.status, func.count()).group_by(DictationRow.status)
        with self._database.read() as connection:
            return {str(status): int(count) for status, count in connection.execute(query)}

    def _poison(self, connection: Connection, tenant: str, dictation: str, now: int, code: str, reason: str) -> None:
        connection.execute(
            update(DictationRow)
            .where(DictationRow.id == dictation)
            .values(
                status=FAILED,
                lease_token=None,
                lease_until_ms=None,
                reason=reason,
                reason_code=code,
                updated_ms=now,
                version=DictationRow.version + 1,
            )
        )
        self._audit.append(connection, tenant, "system", "dictation.failed", dictation, {"code": code})


def _held(job: Job) -> dict[str, Any]:
    return {"job": job.id, "of": job.tenant, "token": job.token}


def _waiting(now: int, until: int, code: str, reason: str) -> dict[str, Any]:
    return {
        "status": RECEIVED,
        "lease_token": None,
        "lease_until_ms": None,
        "not_before_ms": until,
        "reason": reason,
        "reason_code": code,
        "updated_ms": now,
    }


def _job(row: Any, token: str) -> Job:
    return Job(
        row.id,
        row.tenant,
        row.author,
        row.department,
        token,
        row.attempts,
        row.language,
        row.template,
        row.audio_object,
        row.audio_digest,
        row.media_type,
    )
