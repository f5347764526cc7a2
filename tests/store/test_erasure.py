"""What is left of an erased dictation in PostgreSQL: the runbook's claims, checked in a dump and the data folder."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from medstt.benchmark.postgresql import find_postgresql

HEADER = slice(8, 76)  # of a stored object: the slot with its wrapped key


@pytest.fixture
def database_url(postgresql_url: str) -> str:
    return postgresql_url


def dump(cluster: Path, name: str) -> bytes:
    binaries = find_postgresql()
    assert binaries is not None
    return subprocess.run(
        [str(binaries / "pg_dump"), "-h", str(cluster), "-U", "medstt", name], check=True, capture_output=True
    ).stdout


def holding(folder: Path, needles: list[bytes]) -> list[Path]:
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:  # the server tidies up
            continue
        if any(needle in content for needle in needles):
            found.append(path)
    return found


def test_neither_dump_nor_log_nor_tables_hold_what_was_erased(
    store: Any, postgresql_folder: Path, tmp_path: Path, some_bytes: bytes
) -> None:
    made = store.accept(patient="MRN-47110815", audio=some_bytes)
    ready = store.process()
    store.dictations.correct(ready, ready.version, "T", "Findings of Zanzibar.", [], 3)
    stored = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert len(stored) == 4
    with store.database.read() as connection:
        sealed = connection.exec_driver_sql("SELECT patient_secret FROM dictation").scalar_one().encode()
    name = store.database.engine.url.database
    data = postgresql_folder / "data"
    assert sealed in dump(postgresql_folder, name)
    store.erasures.erase("a", made.id, "admin")
    never = [b"MRN-47110815", b"Zanzibar", some_bytes[:64]]
    never += [piece for content in stored for piece in (content[HEADER], content[-64:])]
    written = dump(postgresql_folder, name)
    assert not [needle for needle in [*never, sealed] if needle in written]
    assert b"dictation.erased" in written
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CHECKPOINT")
        assert holding(data, never) == []
        # The runbook: the encrypted reference stays in the table's file until this, in the log until it is recycled.
        connection.exec_driver_sql("VACUUM FULL dictation")
        connection.exec_driver_sql("CHECKPOINT")
    assert {path.parent.name for path in holding(data, [sealed])} <= {"pg_wal"}
