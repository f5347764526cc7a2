"""The running service: every part it needs, opened together and closed together.

Knows nothing of HTTP or of where settings come from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from medstt.store.audit import Audit
from medstt.store.crypt import open_ring
from medstt.store.database import Database
from medstt.store.dictation import Dictations
from medstt.store.erasure import Erasures
from medstt.store.key import Keys
from medstt.store.objects import ObjectStore
from medstt.store.queue import Queue, RetryPolicy
from medstt.store.upkeep import purge
from medstt.store.vocabulary import Vocabularies
from medstt.values import RATE_HZ, Audio
from medstt.work.listen import TeamNames
from medstt.work.log import Log
from medstt.work.metric import Metrics
from medstt.work.models import Models
from medstt.work.process import Style
from medstt.work.sandbox import Sandbox
from medstt.work.team import TeamWriter
from medstt.work.worker import Every, Workers


@dataclass(frozen=True, slots=True)
class Store:
    """Everything that is kept."""

    database: Database
    objects: ObjectStore
    audit: Audit
    keys: Keys
    dictations: Dictations
    erasures: Erasures
    queue: Queue
    vocabularies: Vocabularies

    def purge(self, log: Log) -> None:
        """Apply retention, finish erasures, remove leftovers; logs how many."""
        done = purge(self.database, self.objects, self.erasures, self.keys)
        log.event(
            "purged",
            expired=done.expired + done.erasures_finished,
            orphans=done.orphans,
            drafts=done.drafts,
        )


def open_store(
    url: str, folder: Path, key_file: Path, policy: RetryPolicy, queue_limit: int, *, migrate: bool = True
) -> Store:
    """Open database, objects and keys; creates and migrates what is missing."""
    database = Database(url)
    if migrate:
        database.migrate()
    ring = open_ring(key_file)
    objects = ObjectStore(folder, ring)
    audit = Audit(database, ring)
    return Store(
        database,
        objects,
        audit,
        Keys(database, ring, audit),
        Dictations(database, objects, ring, audit, queue_limit),
        Erasures(database, objects, audit),
        Queue(database, objects, audit, policy),
        Vocabularies(database, audit),
    )


@dataclass(frozen=True, slots=True)
class Service:
    """All parts of one process; ``start`` its threads, ``close`` it in the end."""

    store: Store
    sandbox: Sandbox
    models: Models
    model: str
    write: TeamWriter
    listen: TeamNames
    workers: Workers
    metrics: Metrics
    log: Log
    purge_s: float
    drain_s: float
    upkeep: list[Every] = field(default_factory=list)

    def start(self) -> None:
        """Start the workers and the upkeep threads."""
        self.workers.start()
        self.upkeep.append(Every(self.purge_s, lambda: self.store.purge(self.log), self.log, "purge"))
        self.upkeep.append(Every(60.0, self.models.tidy, self.log, "tidy"))

    def preload(self) -> None:
        """Load the model, the formatters and the decoding processes, so that the first request does not wait."""
        hum = np.sin(np.arange(RATE_HZ, dtype=np.float32) * 0.1)
        with self.models.lease(self.model) as model, ThreadPoolExecutor(model.size) as threads:
            wanted = replace(
                self.listen(model.capabilities, Style("", "", "")), language=model.capabilities.languages[0]
            )
            hums = [Audio(hum, "", "preload")] * model.size  # the one that waits longest is next: each gets one
            list(threads.map(lambda one: model.transcribe(one, wanted, lambda *_: None), hums))
        self.write.warm()
        self.sandbox.warm()

    def close(self) -> None:
        """Drain the workers, end threads and processes, close the database."""
        self.workers.stop(self.drain_s)
        for thread in self.upkeep:
            thread.close()
        self.sandbox.close()
        self.models.close()
        self.store.database.close()
