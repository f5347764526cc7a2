"""A team's own words, auto-texts and templates: layers for site, department and user, every version kept.

Knows nothing of how entries are used; callers check their content before it comes here.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, select
from sqlalchemy.engine import Connection

from medstt.errors import NotFoundError, OptionError, StaleError
from medstt.store.audit import Audit
from medstt.store.database import Database
from medstt.store.tables import VocabularyRow

LAYERS = ("site", "department", "user")
KINDS = ("words", "autotexts", "templates")
REMEMBERED = 256  # versions in memory: a version never changes
_NEWEST = (
    select(VocabularyRow.layer, VocabularyRow.owner, VocabularyRow.kind, func.max(VocabularyRow.version))
    .where(
        VocabularyRow.tenant == bindparam("of"),
        or_(
            VocabularyRow.layer == "site",
            and_(VocabularyRow.layer == "department", VocabularyRow.owner == bindparam("department")),
            and_(VocabularyRow.layer == "user", VocabularyRow.owner == bindparam("person")),
        ),
    )
    .group_by(VocabularyRow.layer, VocabularyRow.owner, VocabularyRow.kind)
)


@dataclass(frozen=True, slots=True)
class Place:
    """Which list: its layer, the department or person it belongs to ("" for the site), and its kind."""

    layer: str
    owner: str
    kind: str


@dataclass(frozen=True, slots=True)
class VocabularyVersion:
    """One version of a list; ``version`` 0 with no entries stands for a list nobody wrote yet."""

    place: Place
    version: int
    entries: Sequence[Mapping[str, Any]]
    digest: str
    author: str
    at_ms: int


class Vocabularies:
    """Versioned lists per tenant."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database, self._audit = database, audit
        self._versions: dict[tuple[str, Place, int], VocabularyVersion] = {}
        self._lock = threading.Lock()

    def get(self, tenant: str, place: Place, version: int | None = None) -> VocabularyVersion:
        """Return a version (the newest by default); raises NotFoundError for a version that never was."""
        _check(place)
        with self._database.read() as connection:
            return self._get(connection, tenant, place, version)

    def _get(self, connection: Connection, tenant: str, place: Place, version: int | None) -> VocabularyVersion:
        query = select(VocabularyRow.__table__).where(*_at(tenant, place))
        if version is None:
            row = connection.execute(query.order_by(VocabularyRow.version.desc()).limit(1)).one_or_none()
        else:
            row = connection.execute(query.where(VocabularyRow.version == version)).one_or_none()
        if row is None:
            if version:
                raise NotFoundError(f"version {version} of this list does not exist")
            return VocabularyVersion(place, 0, (), _digest([]), "", 0)
        return VocabularyVersion(place, row.version, tuple(row.content), row.digest, row.author, row.at_ms)

    def put(
        self, tenant: str, place: Place, entries: Sequence[Mapping[str, Any]], version: int, actor: str
    ) -> VocabularyVersion:
        """Append a version after ``version``, the one the caller read; raises StaleError."""
        _check(place)
        content = [dict(entry) for entry in entries]
        with self._database.write() as connection:
            newest = select(func.max(VocabularyRow.version)).where(*_at(tenant, place))
            current = connection.execute(newest).scalar_one() or 0
            if current != version:
                raise StaleError(f"the list is at version {current}, not {version}", "Read it again, then repeat.")
            digest = _digest(content)
            connection.execute(
                insert(VocabularyRow).values(
                    tenant=tenant,
                    layer=place.layer,
                    owner=place.owner,
                    kind=place.kind,
                    version=current + 1,
                    content=content,
                    digest=digest,
                    author=actor,
                    at_ms=self._database.now_ms(connection),
                )
            )
            subject = f"{place.layer}/{place.owner}/{place.kind}"
            detail = {"version": current + 1, "digest": digest, "entries": len(content)}
            self._audit.append(connection, tenant, actor, "vocabulary.changed", subject[:200], detail)
            return self._get(connection, tenant, place, None)

    def layers(self, tenant: str, department: str, person: str) -> Mapping[str, Sequence[VocabularyVersion]]:
        """Return by kind the newest lists that apply to a person, from site to user; the later one wins."""
        with self._database.read() as connection:
            given = {"of": tenant, "department": department, "person": person}
            newest = sorted(connection.execute(_NEWEST, given).all(), key=lambda row: LAYERS.index(row[0]))
            found = [self._version(connection, tenant, Place(*row[:3]), row[3]) for row in newest]
        return {kind: [one for one in found if one.place.kind == kind] for kind in KINDS}

    def _version(self, connection: Connection, tenant: str, place: Place, version: int) -> VocabularyVersion:
        key = (tenant, place, version)
        with self._lock:
            known = self._versions.get(key)
        if known is None:
            known = self._get(connection, tenant, place, version)
            with self._lock:
                if len(self._versions) >= REMEMBERED:
                    self._versions.pop(next(iter(self._versions)))
                self._versions[key] = known
        return known


def _check(place: Place) -> None:
    if place.layer not in LAYERS:
        raise OptionError(f"unknown layer {place.layer!r}", f"Use one of {', '.join(LAYERS)}.")
    if place.kind not in KINDS:
        raise OptionError(f"unknown kind of list {place.kind!r}", f"Use one of {', '.join(KINDS)}.")
    if (place.layer == "site") != (place.owner == ""):
        raise OptionError("the site's list has no owner, the others need one", "Name the department or the person.")


def _at(tenant: str, place: Place) -> tuple[Any, ...]:
    return (
        VocabularyRow.tenant == tenant,
        VocabularyRow.layer == place.layer,
        VocabularyRow.owner == place.owner,
        VocabularyRow.kind == place.kind,
    )


def _digest(content: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
