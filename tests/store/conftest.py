"""A store on SQLite and on a throwaway PostgreSQL cluster, with a clock that tests can turn."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from medstt.store.audit import Audit
from medstt.store.crypt import KeyRing, create_ring
from medstt.store.database import Database
from medstt.store.dictation import Dictations
from medstt.store.erasure import Erasures
from medstt.store.key import Keys
from medstt.store.objects import ObjectStore
from medstt.store.queue import Queue, Result, RetryPolicy
from medstt.store.record import Dictation, Recording, Request
from medstt.store.vocabulary import Vocabularies

START_MS = 1_700_000_000_000


class Clock:
    """Unix milliseconds that move only when told."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        self.now_ms += 1
        return self.now_ms


@dataclass
class Store:
    database: Database
    objects: ObjectStore
    ring: KeyRing
    audit: Audit
    keys: Keys
    dictations: Dictations
    erasures: Erasures
    queue: Queue
    vocabularies: Vocabularies
    clock: Clock

    def accept(self, tenant: str = "a", audio: bytes = b"RIFF sound", **asked: object) -> Dictation:
        """Store a recording and create its dictation."""
        name, writer = self.objects.create()
        writer.write(audio)
        writer.commit()
        recording = Recording(name, writer.digest, writer.size_bytes, "audio/wav")
        request = Request(**{"author": "Dr. A", **asked})  # type: ignore[arg-type]
        return self.dictations.create(tenant, "key", request, recording)[0]

    def process(self, worker: str = "w") -> Dictation:
        """Claim the next job and finish it with a small result."""
        job = self.queue.claim(worker)
        assert job is not None
        self.queue.finish(job, Result({"text": "no fever"}, {"text": "No fever."}, 1500, {"snr_db": 20.0}))
        return self.dictations.get(job.tenant, job.id)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'medstt.db'}"
    return request.getfixturevalue("postgresql_url")


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    clock = Clock()
    database = Database(database_url, clock)
    database.migrate()
    ring = create_ring()
    objects = ObjectStore(tmp_path / "data", ring)
    audit = Audit(database, ring)
    keys = Keys(database, ring, audit)
    for tenant in ("a", "b"):
        keys.set_retention(tenant, None, "test")
    yield Store(
        database,
        objects,
        ring,
        audit,
        keys,
        Dictations(database, objects, ring, audit),
        Erasures(database, objects, audit),
        Queue(database, objects, audit, RetryPolicy()),
        Vocabularies(database, audit),
        clock,
    )
    database.close()


@pytest.fixture
def some_bytes() -> bytes:
    return secrets.token_bytes(200_000)
