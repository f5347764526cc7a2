"""The audit: who saw, changed, signed, exported or erased what, as one chain per tenant that shows any tampering.

Each entry's MAC (HMAC-SHA256 by a key outside the database) covers the entry and the MAC before it, and the head row
names the last one: a changed, removed or reordered entry breaks the chain. Cutting off the newest entries together with
an older copy of the head row shows only against a head kept elsewhere: ``verify`` takes one.
Knows nothing of what the actions mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.engine import Connection

from medstt.store.crypt import KeyRing
from medstt.store.database import Database
from medstt.store.tables import AUDIT, AUDIT_HEAD, AuditHeadRow, AuditRow

FIRST_MAC = "0" * 64
PAGE = 1000
_HEAD = select(AUDIT_HEAD).where(AUDIT_HEAD.c.tenant == bindparam("of")).with_for_update()
_APPEND = insert(AUDIT)
_FIRST_HEAD = insert(AUDIT_HEAD)
_NEXT_HEAD = update(AUDIT_HEAD).where(AUDIT_HEAD.c.tenant == bindparam("of"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One audit entry; ``detail`` holds codes, digests and counts, never text of a patient."""

    tenant: str
    number: int
    at_ms: int
    actor: str
    action: str
    subject: str
    detail: str
    mac: str

    def expected_mac(self, previous: str, ring: KeyRing) -> str:
        """Return the MAC this entry must carry after ``previous``."""
        fields = [previous, self.tenant, self.number, self.at_ms, self.actor, self.action, self.subject, self.detail]
        return ring.keyed_hash(json.dumps(fields, ensure_ascii=False), "audit")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification found: the number of entries, the head's MAC, and the first problem or None."""

    tenant: str
    entries: int
    head: str
    problem: str | None


class Audit:
    """Append to and verify the chains."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    def append(
        self,
        connection: Connection,
        tenant: str,
        actor: str,
        action: str,
        subject: str,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Append one entry in the caller's transaction: either both happen or neither."""
        head = connection.execute(_HEAD, {"of": tenant}).one_or_none()
        number, previous = (head.number + 1, head.mac) if head else (1, FIRST_MAC)
        text = json.dumps(dict(detail or {}), ensure_ascii=False, sort_keys=True)
        draft = Entry(tenant, number, self._database.now_ms(connection), actor, action, subject, text, "")
        mac = draft.expected_mac(previous, self._ring)
        values = {name: getattr(draft, name) for name in Entry.__slots__} | {"mac": mac}
        connection.execute(_APPEND, values)
        if head:
            connection.execute(_NEXT_HEAD, {"of": tenant, "number": number, "mac": mac})
        else:
            connection.execute(_FIRST_HEAD, {"tenant": tenant, "number": number, "mac": mac})

    def record(
        self, tenant: str, actor: str, action: str, subject: str, detail: Mapping[str, object] | None = None
    ) -> None:
        """Append one entry in a transaction of its own."""
        with self._database.write() as connection:
            self.append(connection, tenant, actor, action, subject, detail)

    def entries(self, tenant: str, *, after: int = 0, limit: int = PAGE, subject: str | None = None) -> list[Entry]:
        """Return up to ``limit`` entries numbered above ``after``, oldest first."""
        query = select(AuditRow.__table__).where(AuditRow.tenant == tenant, AuditRow.number > after)
        if subject is not None:
            query = query.where(AuditRow.subject == subject)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(AuditRow.number).limit(limit)).all()
        return [Entry(**row._mapping) for row in rows]

    def tenants(self) -> list[str]:
        """Return the tenants that have a chain."""
        with self._database.read() as connection:
            heads = set(connection.scalars(select(AuditHeadRow.tenant)))
            return sorted(heads | set(connection.scalars(select(AuditRow.tenant).distinct())))

    def verify(self, tenant: str, known_head: str | None = None) -> Verdict:
        """Walk a chain from its first entry; ``known_head`` is a MAC noted earlier that must occur in it."""
        with self._database.read() as connection:
            head = connection.execute(
                select(AuditHeadRow.number, AuditHeadRow.mac).where(AuditHeadRow.tenant == tenant)
            ).one_or_none()
        previous, count, seen = FIRST_MAC, 0, known_head is None
        for entry in self._walk(tenant, head.number if head else 2**62):
            count += 1
            if entry.number != count:
                return Verdict(tenant, count, previous, f"entry {count} is missing: the next one is {entry.number}")
            if entry.mac != entry.expected_mac(previous, self._ring):
                return Verdict(tenant, count, previous, f"entry {entry.number} was changed or moved")
            previous = entry.mac
            seen = seen or entry.mac == known_head
        if head is None or (head.number, head.mac) != (count, previous):
            return Verdict(tenant, count, previous, f"the chain ends at entry {count}, not where its head says")
        if not seen:
            return Verdict(tenant, count, previous, "the head noted earlier is not in the chain")
        return Verdict(tenant, count, previous, None)

    def _walk(self, tenant: str, last: int) -> Iterator[Entry]:
        after = 0
        while page := self.entries(tenant, after=after):
            for entry in page:
                if entry.number > last:  # appended while we walk
                    return
                yield entry
            after = page[-1].number
