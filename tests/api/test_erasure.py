"""What is left of an erased dictation on the whole machine of a one-box service: nothing but its tombstone."""

from __future__ import annotations

import random
import sqlite3
import wave
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx

from medstt.client import Client

HEADER = slice(8, 76)  # of a stored object: the slot with its wrapped key


def noise() -> bytes:
    """A recording whose bytes occur nowhere else."""
    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(random.Random().randbytes(96_000))
    return buffer.getvalue()


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()


def found(folder: Path, needles: dict[str, bytes]) -> set[tuple[str, str]]:
    return {
        (name, path.name) for path, content in files(folder) for name, needle in needles.items() if needle in content
    }


def dump(database: Path) -> bytes:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return "\n".join(connection.iterdump()).encode()


def test_nothing_of_an_erased_dictation_is_left_on_the_machine(tmp_path: Path, program: Callable[..., Any]) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(temporary), "MEDSTT_LOG_LEVEL": "debug"}
    sound = noise()
    with program(**environment) as server, Client(server.url, server.key, timeout_s=300) as client:
        kept = client.wait(client.create(noise(), patient="MRN-KEPT").id)
        settled = {path for path, _ in files(server.home / "storage")}
        one = client.wait(client.create(sound, patient="MRN-47110815", encounter="ENC-08154711").id)
        assert one.status == "ready", one.failure
        changed = client.correct(one.id, one.version, "Findings of Zanzibar and Timbuktu.")
        assert client.document(one.id)["text"].startswith("Findings of Zanz")
        for format in ("txt", "docx", "json", "fhir-documentreference"):
            client.export(one.id, format)
        assert client.audio(one.id) == sound
        client.sign(one.id, changed.version)
        client.transcribe(sound)
        needles = {"sound": sound[4000:4064], "correction": b"Zanzibar and", "patient": b"MRN-47110815"}
        needles |= {"encounter": b"ENC-08154711", "transcript": b"the patient is well"}
        for path, content in files(server.home / "storage"):
            if path not in settled:
                needles |= {f"key of {path.name}": content[HEADER], f"sealed {path.name}": content[-64:]}
        assert len([name for name in needles if name.startswith("key")]) == 4
        with closing(sqlite3.connect(f"file:{server.home / 'medstt.db'}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT patient_secret FROM dictation WHERE id = ?", [one.id]).fetchone()
        needles["sealed patient"] = row[0].encode()
        assert {name for name, _ in found(tmp_path, needles)} >= {name for name in needles if "sealed" in name}
        client.erase(one.id)
        assert found(tmp_path, needles) == set()
        written = dump(server.home / "medstt.db")
        assert not [name for name, needle in needles.items() if needle in written]
        assert written.count(one.id.encode()) >= 2  # the tombstone in the audit
        headers = {"Authorization": f"Bearer {server.key}"}
        metrics = httpx.get(f"{server.url}/metrics", headers=headers, timeout=60).content
        assert b"medstt_dictations_processed_total" in metrics
        assert not [name for name, needle in needles.items() if needle in metrics]
        assert client.get(kept.id).raw["patient"] == "MRN-KEPT"
    assert found(tmp_path, needles) == set()
