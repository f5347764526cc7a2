"""What the real server adds to its engine on loopback: time of a request, throughput, memory of an upload, queueing.

Knows nothing of accuracy, nor of how figures are shown.
"""

from __future__ import annotations

import heapq
import http.client
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from medstt.benchmark.caller import BOUNDARY, Caller, make_form, make_wav
from medstt.benchmark.direct import DirectCrew, open_direct
from medstt.benchmark.figure import Figure
from medstt.benchmark.server import Running, running, temporary_home, tree_memory_mb
from medstt.benchmark.throughput import ENGINES, FIELDS, SIZE
from medstt.errors import MedsttError
from medstt.values import Samples

CLIP_S = 6.0
MIXED_S = (2.0, 5.0, 10.0, 30.0)
UPLOAD_RATE_HZ = 48_000  # stereo: 500 MB are 46 minutes, within the server's limit of length


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked of the server in each part."""

    repeat: int = 20
    upload_mb: int = 500
    clients: int = 50
    seconds: float = 600.0


def measure_overhead(speech: Samples, load: Load) -> list[Figure]:
    """Compare one 6 s recording in this process with the same through HTTP, interleaved; medians in ms.

    ``accept`` is an upload until it is acknowledged as durable, ``fsync`` writing and syncing as many bytes here.
    """
    direct, sound = open_direct(), make_wav(speech, CLIP_S)
    transcription, dictation = make_form(sound, FIELDS), make_form(sound, {"language": "en"})
    times: dict[str, list[float]] = {name: [] for name in ("direct", "request", "accept", "whole", "fsync")}
    with (
        temporary_home() as home,
        running(home, **SIZE) as server,
        Caller(server) as caller,
    ):
        for _ in range(load.repeat + 1):
            times["direct"].append(_timed_ms(lambda: direct(sound)))
            times["request"].append(_timed_ms(lambda: caller.post("/v1/audio/transcriptions", transcription)))
            times["fsync"].append(_timed_ms(lambda: _sync(home / "probe", sound)))
            start = time.perf_counter()
            made = caller.post("/v1/dictations", dictation)
            times["accept"].append((time.perf_counter() - start) * 1000)
            caller.wait(made["id"])
            found = caller.get(f"/v1/dictations/{made['id']}")
            times["whole"].append(times["accept"][-1] + found["ready_ms"] - found["created_ms"])
    kept = {name: values[1:] for name, values in times.items()}  # the first one warms up
    added = [via - own for via, own in zip(kept["request"], kept["direct"], strict=True)]
    stored = [via - own for via, own in zip(kept["whole"], kept["direct"], strict=True)]
    median = {name: statistics.median(values) for name, values in kept.items()}
    return [
        Figure("overhead", "6 s clip by the engine in one process", median["direct"], "ms"),
        Figure("overhead", "added by a request", statistics.median(added), "ms", 25),
        Figure("overhead", "one fsync of the clip, for comparison", median["fsync"], "ms"),
        Figure("overhead", "dictation: upload until acknowledged as durable", median["accept"], "ms"),
        Figure("overhead", "dictation: added until ready, with all its fsyncs", statistics.median(stored), "ms"),
    ]


def measure_upload(load: Load) -> list[Figure]:
    """Upload a large recording to a server without workers; by how much its memory grew at its highest."""
    with temporary_home() as home, running(home, workers="0") as server:
        with Caller(server) as caller:  # what the first upload of all loads is not this one's
            caller.post("/v1/dictations", make_form(make_wav(np.zeros(1, np.float32), 1), {}))
        with Watch(server.process, 0.02) as watch:
            start = time.perf_counter()
            status = _post_large(server, load.upload_mb)
            seconds = time.perf_counter() - start
        before, highest = watch.seen[0][1], max(mb for _, mb in watch.seen)
    return [
        Figure("upload", f"memory added by {load.upload_mb} MB (answer {status})", highest - before, "MB", 50),
        Figure("upload", "time of it", seconds, "s"),
        Figure("upload", "refused", float(status != 201), "", 0),
    ]


def _post_large(server: Running, megabytes: int) -> int:
    head = make_form(make_wav(np.zeros(1, np.float32), 0), {}).partition(b"RIFF")[0]
    size = megabytes << 20
    rate, width = UPLOAD_RATE_HZ.to_bytes(4, "little"), (UPLOAD_RATE_HZ * 4).to_bytes(4, "little")
    head += b"RIFF" + (size + 36).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\x01\0\x02\0" + rate + width
    head += b"\x04\0\x10\0data" + size.to_bytes(4, "little")

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(megabytes):
            yield bytes(1 << 20)
        yield f"\r\n--{BOUNDARY}--\r\n".encode()

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=1800)
    headers = {
        "Authorization": f"Bearer {server.key}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    try:
        connection.request("POST", "/v1/dictations", body(), headers, encode_chunked=True)
        return connection.getresponse().status
    finally:
        connection.close()


class Watch:
    """Notes the memory of a process and its children from a thread of its own: (seconds, MB) in ``seen``."""

    def __init__(self, process: int, every_s: float) -> None:
        self._process, self._every_s = process, every_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: list[tuple[float, float]] = []

    def __enter__(self) -> Watch:
        self.seen.append((0.0, tree_memory_mb(self._process)))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        start = time.monotonic()
        while not self._done.wait(self._every_s):
            self.seen.append((time.monotonic() - start, tree_memory_mb(self._process)))


@dataclass(slots=True)
class _Heard:
    """What the clients saw: waits in ms, and errors."""

    waits: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def measure_clients(speech: Samples, load: Load) -> list[Figure]:
    """Let many clients dictate recordings of mixed length for a while, each the next when the last is ready.

    The ideal is the same clients served first come first served by as many engines that need nothing but the time of a
    recording in a process of its own while every engine is at work.
    """
    sounds = [make_wav(speech, length, length) for length in MIXED_S]
    with DirectCrew(ENGINES) as crew:
        crew.warm(sounds[0])
        alone = [_busy_ms(crew, sound) for sound in sounds]
    heard = _Heard()
    with temporary_home() as home, running(home, **SIZE) as server:
        forms = [make_form(sound, {"language": "en"}) for sound in sounds]
        with Watch(server.process, max(0.1, load.seconds / 200)) as watch:
            end = time.monotonic() + load.seconds
            numbers = range(load.clients)
            threads = [threading.Thread(target=_dictate, args=(server, forms, one, end, heard)) for one in numbers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    ideal = ideal_waits(alone, load.clients, ENGINES, load.seconds * 1000)
    p95, ideal95 = _p95(heard.waits), _p95(ideal)
    return [
        Figure("clients", f"dictations of {load.clients} clients in {load.seconds:.0f} s", len(heard.waits), ""),
        Figure("clients", f"errors {sorted(set(heard.errors)) or ''}".strip(), len(heard.errors), "", 0),
        Figure("clients", "p95 of accepted to ready", p95, "ms"),
        Figure("clients", "p95 of ideal queueing", ideal95, "ms"),
        Figure("clients", "ratio of both", p95 / ideal95 if ideal95 else 0.0, "x", 2),
        *_memory_figures(watch.seen),
    ]


def _busy_ms(crew: DirectCrew, sound: bytes) -> float:
    """Return the median time of a recording while every engine is at work."""
    return 1000 * statistics.median(one.wall_s for one in crew.run([sound] * (4 * ENGINES)))


def _dictate(server: Running, forms: Sequence[bytes], number: int, end: float, heard: _Heard) -> None:
    with Caller(server) as caller:
        turn = number
        while time.monotonic() < end:
            try:
                made = caller.post("/v1/dictations", forms[turn % len(forms)])
                status = caller.wait(made["id"])
                found = caller.get(f"/v1/dictations/{made['id']}")
            except MedsttError as error:
                heard.errors.append(error.what[:80])
                continue
            turn += 1
            if status == "ready":
                heard.waits.append(found["ready_ms"] - found["created_ms"])
            else:
                heard.errors.append(f"dictation {status}")


def _memory_figures(seen: Sequence[tuple[float, float]]) -> list[Figure]:
    """Return the memory at five moments, and how much the last fifth lies above the second (the first one fills)."""
    fifths = [[mb for _, mb in part] for part in _fifths(seen)]
    told = [
        Figure("clients", f"memory, fifth {number} of the time, highest", max(part), "MB")
        for number, part in enumerate(fifths, 1)
    ]
    grown = 100 * (statistics.median(fifths[-1]) / statistics.median(fifths[1]) - 1)
    return [*told, Figure("clients", "memory grown from the second fifth to the last", grown, "%", 5)]


def _fifths(seen: Sequence[tuple[float, float]]) -> list[Sequence[tuple[float, float]]]:
    edges = [round(number * len(seen) / 5) for number in range(6)]
    return [seen[first : max(last, first + 1)] or seen[-1:] for first, last in pairwise(edges)]


def ideal_waits(times_ms: Sequence[float], clients: int, workers: int, duration_ms: float) -> list[float]:
    """Return each wait in ms of clients that send their next recording when the last is ready, first come first served.

    Client c sends recordings c, c + 1, ... of those that take ``times_ms``; nothing but the work takes time.
    """
    arrivals = [(0.0, client, client) for client in range(clients)]  # time, client, which recording
    free = [0.0] * workers
    waits = []
    while arrivals:
        at, client, turn = heapq.heappop(arrivals)
        ready = max(at, heapq.heappop(free)) + times_ms[turn % len(times_ms)]
        heapq.heappush(free, ready)
        waits.append(ready - at)
        if ready < duration_ms:
            heapq.heappush(arrivals, (ready, client, turn + 1))
    return waits


def _timed_ms(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def _sync(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95)) if values else 0.0
