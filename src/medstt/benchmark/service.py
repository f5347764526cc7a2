"""Measures of the real server on loopback: overhead over the engine, upload memory, queueing under many clients.

Knows nothing of accuracy.
"""

from __future__ import annotations

import heapq
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medstt.client import Client
from medstt.errors import MedsttError, ResourceError

START_S = 300.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started for the measurement."""

    url: str
    key: str
    process: int
    home: Path

    def memory_mb(self) -> float:
        """Return the resident memory of the server and its decoders in MB."""
        total = 0
        for process in (self.process, *_children(self.process)):
            try:
                status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
            except FileNotFoundError:  # a decoder was just replaced
                continue
            total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)
        return total / 1024


def _children(process: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


@contextmanager
def running(engine: str, workers: int, replicas: int, model: str | None = None) -> Iterator[Running]:
    """Start `medstt serve` with its own home on a free port; its model is the one configured here, or ``model``."""
    with tempfile.TemporaryDirectory(prefix="medstt-load-") as name:
        home = Path(name)
        environment = os.environ | {
            "MEDSTT_HOME": name,
            "MEDSTT_ENGINE": engine,
            "MEDSTT_PORT": "0",
            "MEDSTT_WORKERS": str(workers),
            "MEDSTT_REPLICAS": str(replicas),
            "MEDSTT_REQUESTS_PER_MINUTE": "1000000",
            "MEDSTT_LOG_LEVEL": "info",
            **({"MEDSTT_MODEL": model} if model else {}),
        }
        with (home / "log").open("w+", encoding="utf-8") as log:
            command = [sys.executable, "-m", "medstt", "serve"]
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
            try:
                assert process.stdout is not None
                key = process.stdout.readline().removeprefix("admin key: ").strip()
                yield Running(_wait_for_port(process, home / "log"), key, process.pid, home)
            finally:
                process.terminate()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()


def _wait_for_port(process: subprocess.Popen[str], log: Path) -> str:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            if '"listening"' in line:
                return f"http://127.0.0.1:{json.loads(line)['port']}"
        time.sleep(0.1)
    raise ResourceError("the server did not start", log.read_text(encoding="utf-8")[-500:])


def make_wav(seconds: float, seed: int = 0) -> bytes:
    """Return a voice-like sound; for load, not for accuracy."""
    t = np.arange(int(seconds * 16_000)) / 16_000
    tone = sum(np.sin(2 * np.pi * (140 + seed % 40) * n * t) / n for n in range(1, 12))
    samples = (np.asarray(tone) * (0.55 + 0.45 * np.sin(2 * np.pi * 3.5 * t)) * 5000).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def _timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def measure_overhead(server: Running, direct: Callable[[bytes], object], repeat: int) -> dict[str, float]:
    """Compare one 6 s recording through ``direct`` in this process and through HTTP, interleaved; medians in ms.

    ``accept_ms`` is a durable upload until it is acknowledged, ``fsync_ms`` writing and syncing as many bytes here.
    """
    sound = make_wav(6)
    times: dict[str, list[float]] = {"direct_ms": [], "http_ms": [], "accept_ms": [], "fsync_ms": []}
    with Client(server.url, server.key) as client:
        for _ in range(repeat + 1):
            times["direct_ms"].append(_timed(lambda: direct(sound)))
            times["http_ms"].append(_timed(lambda: client.transcribe(sound, language="en")))
            times["fsync_ms"].append(_timed(lambda: _sync(server.home / "probe", sound)))
            start = time.perf_counter()
            made = client.create(sound, language="en")
            times["accept_ms"].append((time.perf_counter() - start) * 1000)
            client.wait(made.id)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}  # the first one warms up
    overheads = [via - own for via, own in zip(times["http_ms"][1:], times["direct_ms"][1:], strict=True)]
    return medians | {"overhead_ms": statistics.median(overheads)}


def _sync(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def measure_upload(server: Running, megabytes: int) -> dict[str, float]:
    """Upload a large recording and return by how many MB the server's memory grew at its highest, and the seconds."""
    import httpx

    before = highest = server.memory_mb()
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.02):
            highest = max(highest, server.memory_mb())

    head = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + make_wav(1)[:40] + b"\xff" * 4
    )

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(megabytes):
            yield bytes(1 << 20)
        yield b"\r\n--b--\r\n"

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "multipart/form-data; boundary=b"}
        start = time.perf_counter()
        answer = httpx.post(f"{server.url}/v1/dictations", content=body(), headers=headers, timeout=600)
        seconds = time.perf_counter() - start
    finally:
        done.set()
        thread.join()
    return {"status": answer.status_code, "added_mb": highest - before, "seconds": seconds}


def measure_load(server: Running, clients: int, seconds: float, workers: int) -> dict[str, float]:
    """Let many clients dictate for a while; the 95th percentile of accepted -> ready against ideal queueing.

    Ideal queueing plays the same arrivals and processing times through as many workers, first come first served.
    """
    sounds = [make_wav(length, length) for length in (2, 5, 10, 30)]
    end = time.monotonic() + seconds
    made: list[str] = []
    errors: list[str] = []

    def dictate(number: int) -> None:
        with Client(server.url, server.key, timeout_s=120) as client:
            while time.monotonic() < end:
                try:
                    found = client.create(sounds[(number + len(made)) % len(sounds)], author=f"Dr. {number}")
                    made.append(found.id)
                    client.wait(found.id)
                except MedsttError as error:
                    errors.append(error.code)

    before = server.memory_mb()
    threads = [threading.Thread(target=dictate, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(seconds / 2)
    middle = server.memory_mb()
    for thread in threads:
        thread.join()
    after = server.memory_mb()
    with Client(server.url, server.key) as client:
        found = [client.get(one).raw for one in made]
    spent = _processing_ms(server.home / "log")
    arrivals = sorted((int(one["created_ms"]), spent[one["id"]]) for one in found if one["id"] in spent)
    waits = [int(one["ready_ms"]) - int(one["created_ms"]) for one in found if one["ready_ms"]]
    ideal = ideal_waits(arrivals, workers)
    p95, ideal95 = _p95(waits), _p95(ideal)
    return {
        "dictations": len(made),
        "errors": len(errors),
        "not_ready": len(found) - len(waits),
        "p95_ms": p95,
        "ideal_p95_ms": ideal95,
        "ratio": p95 / ideal95 if ideal95 else 0.0,
        "memory_before_mb": before,
        "memory_middle_mb": middle,
        "memory_after_mb": after,
    }


def _processing_ms(log: Path) -> dict[str, int]:
    found = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line) if line.startswith("{") else {}
        if entry.get("event") == "dictation.ready":
            found[entry["dictation"]] = entry["ms"]
    return found


def ideal_waits(arrivals: Sequence[tuple[int, int]], workers: int) -> list[int]:
    """Return accepted -> ready in ms of (arrival, processing time) in order, first come first served by workers."""
    free = [0] * workers
    waits = []
    for at, spent in arrivals:
        start = max(at, heapq.heappop(free))
        heapq.heappush(free, start + spent)
        waits.append(start + spent - at)
    return waits


def _p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95)) if values else 0.0
