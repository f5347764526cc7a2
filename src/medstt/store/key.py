"""API keys, browser sessions and tenants: issue, authenticate, rotate, revoke.

A key is ``medstt_ID_SECRET``: 256 random bits of which only a keyed hash is stored. Knows nothing of HTTP or of what a
role may do.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from medstt.errors import ConflictError, NotAuthenticated, NotFoundError, OptionError
from medstt.store.audit import Audit
from medstt.store.crypt import KeyRing
from medstt.store.database import Database
from medstt.store.tables import KeyRow, SessionRow, TenantRow

ROLES = ("clinician", "typist", "reviewer", "integrator", "admin")
KEY = re.compile(r"medstt_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
DAY_MS = 86_400_000
_KEY = select(KeyRow.__table__).where(KeyRow.id == bindparam("key"))  # asked for with every request


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: the key's id, its tenant, person, department, role and scopes (None: all of the role)."""

    key: str
    tenant: str
    person: str
    department: str
    role: str
    scopes: tuple[str, ...] | None
    expires_ms: int | None = None
    revoked_ms: int | None = None
    created_ms: int = 0


def _caller(row: Any) -> Caller:
    scopes = None if row.scopes is None else tuple(row.scopes)
    return Caller(
        row.id,
        row.tenant,
        row.person,
        row.department,
        row.role,
        scopes,
        row.expires_ms,
        row.revoked_ms,
        row.created_ms,
    )


class Keys:
    """Every operation on keys, sessions and tenants; secrets leave only once, at issue."""

    def __init__(self, database: Database, ring: KeyRing, audit: Audit) -> None:
        self._database, self._ring, self._audit = database, ring, audit

    def empty(self) -> bool:
        """Say whether no key was ever issued."""
        with self._database.read() as connection:
            return connection.execute(select(KeyRow.id).limit(1)).first() is None

    def issue_first(self, tenant: str) -> str | None:
        """Issue the first admin key, or None if there is a key already (safe among replicas)."""
        with self._database.write() as connection:
            if not self._database.sqlite:
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4172004)")
            if connection.execute(select(KeyRow.id).limit(1)).first() is not None:
                return None
            return self._issue(connection, tenant, "admin", "admin", "", None, None, "system")

    def issue(
        self,
        tenant: str,
        person: str,
        role: str,
        *,
        department: str = "",
        scopes: Sequence[str] | None = None,
        days: float | None = None,
        actor: str = "system",
    ) -> str:
        """Issue a key and return it, the only time it is seen; raises OptionError."""
        with self._database.write() as connection:
            return self._issue(connection, tenant, person, role, department, scopes, days, actor)

    def _issue(
        self,
        connection: Connection,
        tenant: str,
        person: str,
        role: str,
        department: str,
        scopes: Sequence[str] | None,
        days: float | None,
        actor: str,
    ) -> str:
        if role not in ROLES:
            raise OptionError(f"unknown role {role!r}", f"Use one of {', '.join(ROLES)}.")
        if not person.strip() or len(person) > 200 or len(department) > 200:
            raise OptionError("a key needs a person of 1 to 200 characters", "Name who will use it.")
        now = self._database.now_ms(connection)
        self._ensure_tenant(connection, tenant, now)
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        connection.execute(
            insert(KeyRow).values(
                id=key_id,
                tenant=tenant,
                person=person.strip(),
                department=department,
                role=role,
                scopes=None if scopes is None else sorted(scopes),
                secret_hash=self._ring.keyed_hash(secret, "api key"),
                created_ms=now,
                expires_ms=None if days is None else now + int(days * DAY_MS),
                revoked_ms=None,
            )
        )
        self._audit.append(connection, tenant, actor, "key.issued", key_id, {"role": role})
        return f"medstt_{key_id}_{secret}"

    @staticmethod
    def _ensure_tenant(connection: Connection, tenant: str, now: int) -> None:
        if not TENANT.fullmatch(tenant):
            raise OptionError(f"tenant {tenant!r} is not a name", "Use lower-case letters, digits and hyphens.")
        if connection.execute(select(TenantRow.id).where(TenantRow.id == tenant)).first() is None:
            connection.execute(insert(TenantRow).values(id=tenant, created_ms=now, retention_days=None))

    def authenticate(self, key: str) -> Caller:
        """Return whose key it is; raises NotAuthenticated, without saying which part was wrong."""
        refused = NotAuthenticated("the API key is not valid", "Ask your administrator for a key.")
        match = KEY.fullmatch(key)
        if match is None:
            raise refused
        with self._database.read() as connection:
            row = connection.execute(_KEY, {"key": match[1]}).one_or_none()
            now = self._database.now_ms(connection)
        given = self._ring.keyed_hash(match[2], "api key")
        if row is None or not hmac.compare_digest(row.secret_hash, given):
            raise refused
        return _valid(_caller(row), now)

    def list(self, tenant: str) -> Sequence[Caller]:
        """Return a tenant's keys, oldest first, without secrets."""
        with self._database.read() as connection:
            query = select(KeyRow.__table__).where(KeyRow.tenant == tenant).order_by(KeyRow.created_ms, KeyRow.id)
            return [_caller(row) for row in connection.execute(query)]

    def revoke(self, tenant: str, key_id: str, actor: str) -> None:
        """Revoke a key and end its sessions at once; raises NotFoundError, or ConflictError for the last admin key."""
        with self._database.write() as connection:
            self._revoke(connection, tenant, key_id, actor)

    def _revoke(self, connection: Connection, tenant: str, key_id: str, actor: str) -> Caller:
        query = select(KeyRow.__table__).where(KeyRow.tenant == tenant, KeyRow.id == key_id).with_for_update()
        row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError("no such key")
        now = self._database.now_ms(connection)
        others = select(KeyRow.id).where(
            KeyRow.tenant == tenant, KeyRow.role == "admin", KeyRow.revoked_ms.is_(None), KeyRow.id != key_id
        )
        if row.role == "admin" and connection.execute(others.limit(1)).first() is None:
            raise ConflictError("this is the last admin key", "Issue another admin key first.")
        connection.execute(
            update(KeyRow).where(KeyRow.id == key_id, KeyRow.revoked_ms.is_(None)).values(revoked_ms=now)
        )
        connection.execute(delete(SessionRow).where(SessionRow.key == key_id))
        self._audit.append(connection, tenant, actor, "key.revoked", key_id)
        return _caller(row)

    def rotate(self, tenant: str, key_id: str, actor: str) -> str:
        """Issue a successor with the same rights and lifetime, and revoke the old key, in one transaction."""
        with self._database.write() as connection:
            query = select(KeyRow.__table__).where(KeyRow.tenant == tenant, KeyRow.id == key_id)
            row = connection.execute(query).one_or_none()
            if row is None or row.revoked_ms is not None:
                raise NotFoundError("no such key")
            days = None if row.expires_ms is None else (row.expires_ms - row.created_ms) / DAY_MS
            key = self._issue(connection, tenant, row.person, row.role, row.department, row.scopes, days, actor)
            self._revoke(connection, tenant, key_id, actor)
            return key

    def sign_in(self, key: str, hours: float) -> tuple[str, Caller]:
        """Return a browser session's token for a valid key."""
        caller = self.authenticate(key)
        token = secrets.token_urlsafe(32)
        with self._database.write() as connection:
            now = self._database.now_ms(connection)
            connection.execute(delete(SessionRow).where(SessionRow.expires_ms < now))
            connection.execute(
                insert(SessionRow).values(
                    token_hash=self._ring.keyed_hash(token, "session"),
                    key=caller.key,
                    expires_ms=now + int(hours * 3_600_000),
                )
            )
            self._audit.append(connection, caller.tenant, caller.person, "session.opened", caller.key)
        return token, caller

    def resume(self, token: str) -> Caller:
        """Return whose browser session it is; raises NotAuthenticated."""
        query = (
            select(KeyRow.__table__, SessionRow.expires_ms.label("session_ends_ms"))
            .join(SessionRow, SessionRow.key == KeyRow.id)
            .where(SessionRow.token_hash == self._ring.keyed_hash(token, "session"))
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            now = self._database.now_ms(connection)
        if row is None or row.session_ends_ms < now:
            raise NotAuthenticated("the session has ended", "Sign in again.")
        return _valid(_caller(row), now)

    def sign_out(self, token: str) -> None:
        """End a browser session; one that has ended already is fine."""
        with self._database.write() as connection:
            hashed = self._ring.keyed_hash(token, "session")
            connection.execute(delete(SessionRow).where(SessionRow.token_hash == hashed))

    def set_retention(self, tenant: str, days: int | None, actor: str) -> None:
        """Set after how many days a tenant's dictations are purged; None keeps them."""
        if days is not None and not 1 <= days <= 36_500:
            raise OptionError("retention must be 1 to 36500 days", "Use a number of days, or nothing to keep all.")
        with self._database.write() as connection:
            self._ensure_tenant(connection, tenant, self._database.now_ms(connection))
            connection.execute(update(TenantRow).where(TenantRow.id == tenant).values(retention_days=days))
            self._audit.append(connection, tenant, actor, "tenant.retention", tenant, {"days": days})

    def tenants(self) -> dict[str, int | None]:
        """Return every tenant with its retention in days."""
        with self._database.read() as connection:
            rows = connection.execute(select(TenantRow.id, TenantRow.retention_days).order_by(TenantRow.id))
            return {row.id: row.retention_days for row in rows}


def _valid(caller: Caller, now: int) -> Caller:
    if caller.revoked_ms is not None or (caller.expires_ms is not None and caller.expires_ms <= now):
        raise NotAuthenticated("the API key is not valid", "It may have expired: ask your administrator for a new one.")
    return caller
