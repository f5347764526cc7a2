from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medstt.errors import DataError, NotFoundError
from medstt.store.crypt import open_ring, write_ring
from medstt.store.dictation import Dictations
from medstt.store.objects import ObjectStore
from medstt.store.upkeep import purge, retire_old_keys, rotate_settings_key

DAY_MS = 86_400_000


def test_retention_is_per_tenant(store: Any) -> None:
    old = store.accept(tenant="a")
    kept = store.accept(tenant="b")
    store.process()
    store.process()
    store.keys.set_retention("a", 30, "admin")
    store.clock.now_ms += 31 * DAY_MS
    fresh = store.accept(tenant="a")
    result = purge(store.database, store.objects, store.erasures, store.keys)
    assert result.expired == 1
    with pytest.raises(NotFoundError):
        store.dictations.get("a", old.id)
    assert store.dictations.get("b", kept.id).status == "ready"
    assert store.dictations.get("a", fresh.id).status == "received"


def test_objects_that_no_row_names_are_removed(store: Any) -> None:
    made = store.accept()
    store.objects.put(b"left by a crash")
    drafts = [store.objects.create()[1], store.objects.spool()[2]]
    for draft in drafts:
        draft.write(b"half an upload")
    result = purge(store.database, store.objects, store.erasures, store.keys, orphan_age_s=-60)
    assert (result.orphans, result.drafts) == (1, 2)
    for draft in drafts:
        draft.abort()
    assert store.objects.get(store.dictations.get("a", made.id).audio_object) == b"RIFF sound"


def test_the_settings_key_rotates_and_the_old_one_can_go(store: Any, tmp_path: Path) -> None:
    made = store.accept(patient="MRN-1", audio=b"sound")
    ready = store.process()
    store.dictations.correct(ready, ready.version, "T", "Text.", [], 1)
    key_file = tmp_path / "keys" / "settings.json"
    write_ring(store.ring, key_file)
    fresh, changed = rotate_settings_key(store.database, store.objects.folder, key_file, store.ring)
    assert changed == 5  # four objects, one sealed field
    last = retire_old_keys(store.database, store.objects.folder, key_file, fresh)
    assert list(last.keys) == [fresh.active]
    ring = open_ring(key_file)
    objects = ObjectStore(store.objects.folder, ring)
    read = Dictations(store.database, objects, ring, store.audit)
    assert read.get("a", made.id).patient == "MRN-1"
    assert read.current_text(read.get("a", made.id)) == "Text."
    with pytest.raises(DataError):
        store.objects.get(ready.audio_object)  # the old ring opens nothing any more
    assert store.audit.verify("a").problem is None
