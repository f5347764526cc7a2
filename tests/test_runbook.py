"""The runbook's backup and restore, followed step by step on SQLite."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from medstt.benchmark.postgresql import find_postgresql
from medstt.service import open_settings_store, read_settings
from medstt.store.record import Recording, Request

RUNBOOK = Path(__file__).parents[1] / "serving" / "runbook.md"


def commands(heading: str) -> str:
    text = RUNBOOK.read_text(encoding="utf-8")
    found = re.search(rf"## {heading}\n.*?```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_backup_and_restore_on_postgresql(
    tmp_path: Path, postgresql_url: str, postgresql_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    dump = re.search(r"PostgreSQL: `(pg_dump [^`]+)`", RUNBOOK.read_text(encoding="utf-8"))
    restore = re.search(r"`(pg_restore [^`]+)`", RUNBOOK.read_text(encoding="utf-8"))
    assert dump is not None
    assert restore is not None
    binaries = find_postgresql()
    assert binaries is not None
    restored_url = postgresql_url.replace("?", "-restored?")
    environment = {"PATH": f"{binaries}:/usr/bin:/bin", "BACKUP": str(tmp_path)}
    environment |= {"MEDSTT_DATABASE_URL": postgresql_url}
    monkeypatch.setenv("MEDSTT_HOME", str(tmp_path))
    store = open_settings_store(read_settings(database_url=postgresql_url))
    store.keys.issue_first("main")
    name = store.objects.put(b"sound")
    made, _ = store.dictations.create("main", "k", Request("Dr. A", patient="P"), Recording(name, "d", 5, "audio/wav"))
    head = store.audit.verify("main").head
    subprocess.run(["sh", "-eu", "-c", dump[1]], env=environment, check=True)
    store.database.close()
    fresh = restored_url.removeprefix("postgresql://medstt@/").partition("?")[0]
    with psycopg.connect(host=str(postgresql_folder), user="medstt", dbname="postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{fresh}"')  # type: ignore[arg-type]
    subprocess.run(
        ["sh", "-eu", "-c", restore[1].replace("$MEDSTT_DATABASE_URL", restored_url)], env=environment, check=True
    )
    restored = open_settings_store(read_settings(database_url=restored_url))
    assert restored.audit.verify("main", head).problem is None
    found = restored.dictations.get("main", made.id)
    assert (found.patient, restored.objects.get(found.audio_object or "")) == ("P", b"sound")
    restored.database.close()


def test_backup_and_restore_bring_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, backup, vault = tmp_path / "home", tmp_path / "backup", tmp_path / "vault"
    backup.mkdir()
    vault.mkdir()
    monkeypatch.setenv("MEDSTT_HOME", str(home))
    store = open_settings_store(read_settings())
    store.keys.issue_first("main")
    name = store.objects.put(b"sound")
    made, _ = store.dictations.create("main", "k", Request("Dr. A", patient="P"), Recording(name, "d", 5, "audio/wav"))
    head = store.audit.verify("main").head
    script = commands("Back up")
    if shutil.which("sqlite3") is None:  # the same copy by Python's module, where the command is missing
        python = (
            f"python3 -c \"import sqlite3 as s; s.connect('{home}/medstt.db').backup(s.connect('{backup}/medstt.db'))\""
        )
        script = re.sub(r"^sqlite3 .*$", python, script, flags=re.MULTILINE)
    script = re.sub(r"^medstt .*$", "", script, flags=re.MULTILINE)
    environment = {"MEDSTT_HOME": str(home), "BACKUP": str(backup), "VAULT": str(vault), "PATH": "/usr/bin:/bin"}
    subprocess.run(["sh", "-eu", "-c", script], env=environment, check=True)
    store.database.close()
    shutil.rmtree(home)

    home.mkdir()
    shutil.copy(backup / "medstt.db", home)
    shutil.copytree(backup / "storage", home / "storage")
    (home / "keys").mkdir()
    shutil.copy(vault / "key.json", home / "keys")
    (home / "keys" / "key.json").chmod(0o600)
    restored = open_settings_store(read_settings())
    verdict = restored.audit.verify("main", head)
    found = restored.dictations.get("main", made.id)
    assert verdict.problem is None
    assert found.patient == "P"
    assert restored.objects.get(found.audio_object or "") == b"sound"
    job = restored.queue.claim("w")
    assert job is not None
    assert job.id == made.id
    restored.database.close()
