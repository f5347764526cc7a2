"""Processes are killed at random while dictations come in; every one that was acknowledged must become ready, once."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from medstt.client import Client
from medstt.errors import MedsttError
from medstt.service import open_settings_store, read_settings

SETTLE_S = 600
PROGRESS_S = 30  # most kills wait for an upload or a result, so that they hit work and not only starting processes


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Cluster:
    """Processes of the real program, started again whenever one is killed."""

    environment: dict[str, str]
    log: IO[bytes]
    commands: dict[str, list[str]]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        command = [sys.executable, "-m", "medstt", *self.commands[name]]
        self.running[name] = subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=self.log)

    def kill(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].wait()
        self.start(name)

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


@contextmanager
def cluster(home: Path, database_url: str, ports: list[int], workers: int) -> Iterator[Cluster]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEDSTT_")}
    environment |= {
        "MEDSTT_HOME": str(home),
        "MEDSTT_DATABASE_URL": database_url,
        "MEDSTT_ENGINE": "fake",
        "MEDSTT_LEASE_S": "3",
        "MEDSTT_ATTEMPTS": "100",
        "MEDSTT_BACKOFF_S": "0.2",
        "MEDSTT_BACKOFF_MAX_S": "1",
        "MEDSTT_POLL_S": "0.2",
        "MEDSTT_DECODERS": "1",
        "MEDSTT_PRELOAD": "false",
        "MEDSTT_REQUESTS_PER_MINUTE": "1000000",
    }
    commands = {f"api{n}": ["serve", "--port", str(port), "--workers", "0"] for n, port in enumerate(ports)}
    commands |= {f"worker{n}": ["worker", "--workers", "1"] for n in range(workers)}
    with (home / "log").open("wb") as log:
        made = Cluster(environment, log, commands)
        for name in commands:
            made.start(name)
        try:
            yield made
        finally:
            made.stop()


class Uploads:
    """Threads that upload until told to stop, remembering what was acknowledged."""

    def __init__(self, urls: list[str], key: str, sounds: list[bytes]) -> None:
        self.acknowledged: dict[str, str] = {}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(url, key, sounds, n)) for n, url in enumerate(urls)]
        for thread in self._threads:
            thread.start()

    def _run(self, url: str, key: str, sounds: list[bytes], seed: int) -> None:
        choose = random.Random(seed)
        with Client(url, key, timeout_s=60) as client:
            while not self._stop.is_set():
                sound, once = choose.choice(sounds), str(uuid.uuid4())
                while not self._stop.is_set():
                    try:
                        made = client.create(sound, idempotency_key=once, author=f"Dr. {choose.randrange(4)}")
                    except MedsttError:
                        self._stop.wait(0.2)
                        continue
                    self.acknowledged[made.id] = hashlib.sha256(sound).hexdigest()
                    break
                self._stop.wait(0.3)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def run(home: Path, url: str, kills: int, apis: int, workers: int, sounds: list[bytes]) -> dict[str, Any]:
    seed = int(os.environ.get("CRASH_SEED", time.time_ns() % 1_000_000))
    print(f"seed {seed}")
    choose = random.Random(seed)
    settings = read_settings(home=home, database_url=url)
    store = open_settings_store(settings)
    key = store.keys.issue("main", "crash test", "admin")
    ports = [free_port() for _ in range(apis)]
    with cluster(home, url, ports, workers) as processes:
        uploads = Uploads([f"http://127.0.0.1:{port}" for port in ports], key, sounds)
        try:
            while not uploads.acknowledged:
                time.sleep(0.1)
            for _ in range(kills):
                before = len(uploads.acknowledged) + store.queue.depth().get("ready", 0)
                time.sleep(choose.uniform(0.1, 2.0))
                end = time.monotonic() + (choose.random() < 0.7) * PROGRESS_S  # some kills hit processes that start
                while time.monotonic() < end:
                    if len(uploads.acknowledged) + store.queue.depth().get("ready", 0) > before:
                        break
                    time.sleep(0.05)
                processes.kill(choose.choice(list(processes.commands)))
        finally:
            uploads.stop()
        end = time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            waiting = {n for n in uploads.acknowledged if store.dictations.get("main", n).status != "ready"}
            if not waiting:
                break
            time.sleep(0.5)
        assert not waiting, f"{len(waiting)} of {len(uploads.acknowledged)} never became ready (seed {seed})"
    for dictation, digest in uploads.acknowledged.items():
        found = store.dictations.get("main", dictation)
        assert hashlib.sha256(store.objects.get(found.audio_object or "")).hexdigest() == digest
        actions = [entry.action for entry in store.audit.entries("main", subject=dictation)]
        assert actions.count("dictation.ready") == 1, (seed, dictation, actions)
        assert actions.count("dictation.created") == 1
    verdict = store.audit.verify("main")
    assert verdict.problem is None
    store.database.close()
    return {"seed": seed, "kills": kills, "acknowledged": len(uploads.acknowledged), "audit_entries": verdict.entries}


@pytest.fixture
def sounds() -> list[bytes]:
    import io
    import wave

    import numpy as np

    made = []
    for seconds in (1, 2, 5):
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            t = np.arange(16000 * seconds) / 16000
            file.writeframes((np.sin(900 * t) * np.sin(20 * t) * 9000).astype("<i2").tobytes())
        made.append(buffer.getvalue())
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, int, int]:
    """The database and how many API replicas and workers share it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'medstt.db'}", 1, 1
    return request.getfixturevalue("postgresql_url"), 2, 3


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_lose_nothing(tmp_path: Path, place: tuple[str, int, int], sounds: list[bytes]) -> None:
    print(run(tmp_path, place[0], 20, place[1], place[2], sounds))


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_two_hundred_kills_lose_nothing(tmp_path: Path, place: tuple[str, int, int], sounds: list[bytes]) -> None:
    found = run(tmp_path, place[0], 200, place[1], place[2], sounds)
    out = os.environ.get("PROVE_OUT")
    if out:
        name = "postgresql" if "postgresql" in place[0] else "sqlite"
        Path(out, f"crash-{name}.json").write_text(json.dumps(found | {"date": time.strftime("%Y-%m-%d")}) + "\n")
