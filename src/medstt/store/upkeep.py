"""Upkeep of what is stored: retention, interrupted erasures, orphans, and rotation of the settings key.

Knows nothing of requests or models.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, update

from medstt.errors import NotFoundError
from medstt.store.crypt import KeyRing, write_ring
from medstt.store.database import Database
from medstt.store.erasure import Erasures
from medstt.store.key import Keys
from medstt.store.objects import NAME, ObjectStore
from medstt.store.tables import CorrectionRow, DictationRow

ORPHAN_AGE_S = 86_400.0  # an object may be older than its row by one upload or one transcription, never by a day
SEALED_FIELDS = {"patient": "patient_secret", "encounter": "encounter_secret", "file_name": "file_name_secret"}


@dataclass(frozen=True, slots=True)
class Purge:
    """How much a purge removed."""

    expired: int
    erasures_finished: int
    orphans: int
    drafts: int


def purge(
    database: Database, objects: ObjectStore, erasures: Erasures, keys: Keys, orphan_age_s: float = ORPHAN_AGE_S
) -> Purge:
    """Erase what is past its tenant's retention, finish interrupted erasures, remove objects that no row names."""
    finished = erasures.finish()
    expired = 0
    for tenant, days in keys.tenants().items():
        while days is not None and (due := erasures.expired(tenant, days)):
            for dictation in due:
                try:
                    erasures.erase(tenant, dictation, "system", "retention")
                except NotFoundError:  # somebody erased it at the same moment
                    continue
                expired += 1
    before = time.time() - orphan_age_s
    old = [name for name, changed in objects.names() if changed < before and NAME.fullmatch(name)]
    known = _named(database)
    orphans = [name for name in old if name not in known]
    for name in orphans:
        objects.delete(name)
    database.scrub()  # again, in case readers held the log when something was erased
    return Purge(expired, finished, len(orphans), objects.clear_drafts(before))


def _named(database: Database) -> set[str]:
    columns = (DictationRow.audio_object, DictationRow.transcript_object, DictationRow.document_object)
    with database.read() as connection:
        names = {name for row in connection.execute(select(*columns)) for name in row if name}
        return names | set(connection.scalars(select(CorrectionRow.object)))


def rotate_settings_key(database: Database, folder: Path, key_file: Path, ring: KeyRing) -> tuple[KeyRing, int]:
    """Wrap every object's key and every sealed field by a new settings key; returns the ring and how many changed.

    Crash-safe: the new key is written before it is used, the old one stays in the file. Other processes keep reading
    with the keys they loaded until they restart; the old key is removed by ``retire_old_keys`` after that.
    """
    fresh = ring.rotated()
    write_ring(fresh, key_file)
    return fresh, rewrap_all(database, ObjectStore(folder, fresh))


def rewrap_all(database: Database, objects: ObjectStore) -> int:
    """Bring every object and sealed field to the active key; repeatable, returns how many changed."""
    changed = 0
    for name, _ in objects.names():
        if NAME.fullmatch(name):
            try:
                changed += objects.rewrap(name)
            except NotFoundError:  # erased meanwhile
                continue
    prefix = objects.ring.active + ":"
    with database.read() as connection:
        ids = connection.scalars(select(DictationRow.id)).all()
    for dictation in ids:
        changed += _reseal(database, objects.ring, dictation, prefix)
    return changed


def _reseal(database: Database, ring: KeyRing, dictation: str, prefix: str) -> int:
    with database.write() as connection:
        query = select(DictationRow.__table__).where(DictationRow.id == dictation).with_for_update()
        row = connection.execute(query).one_or_none()
        values = {}
        for field, column in SEALED_FIELDS.items():
            sealed = getattr(row, column, None)
            if sealed is not None and not sealed.startswith(prefix):
                place = f"dictation/{dictation}/{field}"
                values[column] = ring.seal(ring.unseal(sealed, place), place)
        if values:
            connection.execute(update(DictationRow).where(DictationRow.id == dictation).values(**values))
        return len(values)


def retire_old_keys(database: Database, folder: Path, key_file: Path, ring: KeyRing) -> KeyRing:
    """Remove all but the active key from the key file, after making sure that nothing needs the others."""
    rewrap_all(database, ObjectStore(folder, ring))
    remaining = ring.only_active()
    write_ring(remaining, key_file)
    return remaining
