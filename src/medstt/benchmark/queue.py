"""Listing and claiming with thousands of queued dictations, on SQLite and PostgreSQL, by the store and over HTTP.

Knows nothing of models: nothing is transcribed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from medstt.benchmark.caller import Caller
from medstt.benchmark.figure import Figure
from medstt.benchmark.postgresql import USER, find_postgresql, postgresql_cluster
from medstt.benchmark.server import running
from medstt.errors import ResourceError
from medstt.service import Settings, open_settings_store
from medstt.store.record import Filter, Recording, Request

AUTHORS = 40
TARGET_MS = 20
CLAIMS = 200


def measure_queue(queued: int, *, postgresql: str | None = None) -> list[Figure]:
    """Fill both databases with dictations and time a page of the list and a claim; 95th percentiles in ms.

    ``postgresql`` is the URL of an empty database; without it a throwaway cluster is started, and where PostgreSQL is
    not installed that half is left out.
    """
    figures = _measure("SQLite", "", queued)
    if postgresql is not None:
        return figures + _measure("PostgreSQL", postgresql, queued)
    if find_postgresql() is None:
        return figures
    with postgresql_cluster() as folder:
        return figures + _measure("PostgreSQL", f"postgresql://{USER}@/postgres?host={folder}", queued)


def _measure(name: str, url: str, queued: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="medstt-benchmark-") as folder:
        settings = Settings(home=Path(folder), database_url=url)
        store = open_settings_store(settings)
        try:
            key = store.keys.issue_first("main")
            if key is None:
                raise ResourceError(f"the database {url} is not empty", "Name an empty one")
            start = time.perf_counter()
            for number in range(queued):
                request = Request(author=f"Dr. {number % AUTHORS}", patient=f"P{number}")
                store.dictations.create("main", "benchmark", request, Recording(f"{number:032x}", "0", 1, "audio/wav"))
            created_ms = (time.perf_counter() - start) * 1000 / queued
            some = Filter(author="Dr. 7")
            page = store.dictations.list("main", Filter(), limit=50)
            listed = _p95_ms(lambda: store.dictations.list("main", Filter(), limit=50, cursor=page.cursor), 50)
            filtered = _p95_ms(lambda: store.dictations.list("main", some, limit=50), 50)
            with (
                running(settings.home, key=key, workers="0", engine="fake", database_url=url) as server,
                Caller(server) as caller,
            ):
                answered = _p95_ms(lambda: caller.get("/v1/dictations?limit=50"), 50)
            claimed = _p95_ms(lambda: store.queue.claim("benchmark"), min(CLAIMS, queued // 2))
        finally:
            store.database.close()
    part, many = "queue", f"{name}, {queued} queued"
    return [
        Figure(part, f"{many}: create, mean", created_ms, "ms"),
        Figure(part, f"{many}: list a page of 50, p95", listed, "ms", TARGET_MS),
        Figure(part, f"{many}: list one author's, p95", filtered, "ms", TARGET_MS),
        Figure(part, f"{many}: list over HTTP, p95", answered, "ms", TARGET_MS),
        Figure(part, f"{many}: claim, p95, its fsync included", claimed, "ms", TARGET_MS),
    ]


def _p95_ms(action: Callable[[], object], count: int) -> float:
    action()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        action()
        times.append((time.perf_counter() - start) * 1000)
    return float(np.percentile(times, 95))
