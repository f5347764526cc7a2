"""Processes are killed at random while dictations come in; every one that was acknowledged must become ready, once."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
from sqlalchemy import select

from medstt.client import Client
from medstt.errors import MedsttError
from medstt.service import open_settings_store, read_settings
from medstt.store.tables import DictationRow
from medstt.work.service import Store

STUCK_S = 600  # without any progress
PROGRESS_S = 180  # most kills wait for an upload or a result, so that they hit work and not only starting processes


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

    def kill(self, *names: str) -> None:
        for name in names:
            assert self.running[name].poll() is None, f"{name} ended by itself, see {self.log.name}"
            self.running[name].send_signal(signal.SIGKILL)
        for name in names:
            self.running[name].wait()

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
        "MEDSTT_LEASE_S": "8",
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
        self.by_server = dict.fromkeys(urls, 0)
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
                    self.by_server[url] += 1
                    break
                self._stop.wait(0.3)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@dataclass
class Scene:
    """Processes at work, uploads that come in, and the store behind them seen from outside."""

    processes: Cluster
    uploads: Uploads
    store: Store
    checked: dict[str, Any] = field(default_factory=dict)  # filled when all has settled

    def done(self) -> int:
        """Return how many uploads were acknowledged and how many dictations became ready, together."""
        return len(self.uploads.acknowledged) + self.ready()

    def ready(self) -> int:
        return self.store.queue.depth().get("ready", 0)

    def shared(self) -> bool:
        """Say whether every API process accepted something and every worker has had a dictation in hand."""
        with self.store.database.read() as connection:
            workers = set(connection.scalars(select(DictationRow.worker).where(DictationRow.worker.is_not(None))))
        started = [name for name in self.processes.commands if name.startswith("worker")]
        return len(workers) == len(started) and all(self.uploads.by_server.values())

    def settle(self) -> None:
        """Wait until everything acknowledged is ready; fails when nothing moves any more."""
        missing = set(self.uploads.acknowledged)
        end = time.monotonic() + STUCK_S
        while missing:
            left = {one for one in missing if self.store.dictations.get("main", one).status != "ready"}
            if len(left) < len(missing):
                end = time.monotonic() + STUCK_S
            assert time.monotonic() < end, f"{len(left)} of {len(self.uploads.acknowledged)} never became ready"
            missing = left
            time.sleep(0.5)

    def check(self) -> dict[str, Any]:
        """Assert that each acknowledged dictation is ready once, its sound intact, the audit whole."""
        for dictation, digest in self.uploads.acknowledged.items():
            found = self.store.dictations.get("main", dictation)
            assert hashlib.sha256(self.store.objects.get(found.audio_object or "")).hexdigest() == digest
            assert self.store.dictations.transcript(found)
            actions = [entry.action for entry in self.store.audit.entries("main", subject=dictation)]
            assert actions.count("dictation.ready") == 1, (dictation, actions)
            assert actions.count("dictation.created") == 1
        verdict = self.store.audit.verify("main")
        assert verdict.problem is None
        return {"acknowledged": len(self.uploads.acknowledged), "audit_entries": verdict.entries}


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def scene(home: Path, url: str, apis: int, workers: int, sounds: list[bytes]) -> Iterator[Scene]:
    """Start everything and wait for the first upload; afterwards let it settle, and check it."""
    store = open_settings_store(read_settings(home=home, database_url=url))
    key = store.keys.issue("main", "crash test", "admin")
    ports = [free_port() for _ in range(apis)]
    with cluster(home, url, ports, workers) as processes:
        uploads = Uploads([f"http://127.0.0.1:{port}" for port in ports], key, sounds)
        made = Scene(processes, uploads, store)
        try:
            assert wait_for(lambda: bool(uploads.acknowledged), STUCK_S)
            yield made
        finally:
            uploads.stop()
        made.settle()
        made.checked = made.check()
    store.database.close()


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
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, int, int]:
    """The database's kind and URL, and how many API replicas and workers share it."""
    if request.param == "sqlite":
        return request.param, f"sqlite:///{tmp_path / 'medstt.db'}", 1, 1
    return request.param, request.getfixturevalue("postgresql_url"), 2, 3


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
        pytest.param(200, marks=[pytest.mark.prove, pytest.mark.timeout(12 * 3600)]),
    ],
)
def test_kills_at_random_lose_nothing(
    tmp_path: Path, place: tuple[str, str, int, int], sounds: list[bytes], kills: int, record: Any
) -> None:
    kind, url, apis, workers = place
    seed = int(os.environ.get("CRASH_SEED", time.time_ns() % 1_000_000))
    choose = random.Random(seed)
    with record(f"crash-{kind}") as found:
        found |= {"seed": seed, "kills": 0, "api_processes": apis, "worker_processes": workers}
        with scene(tmp_path, url, apis, workers, sounds) as at:
            for number in range(kills):
                before = at.done()
                time.sleep(choose.uniform(0.1, 2.0))
                if choose.random() < 0.7:  # the others may hit processes that start
                    wait_for(lambda: at.done() > before, PROGRESS_S)  # noqa: B023
                name = choose.choice(list(at.processes.commands))
                at.processes.kill(name)
                at.processes.start(name)
                found["kills"] = number + 1
                print(f"seed {seed}: kill {number + 1}, {name}; {at.done()} done", flush=True)
        found |= at.checked


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killing_any_two_of_two_apis_and_three_workers_loses_nothing(
    tmp_path: Path, postgresql_url: str, sounds: list[bytes]
) -> None:
    with scene(tmp_path, postgresql_url, 2, 3, sounds) as at:
        assert wait_for(at.shared, STUCK_S)
        for pair in itertools.combinations(at.processes.commands, 2):
            at.processes.kill(*pair)
            ready, accepted = at.ready(), len(at.uploads.acknowledged)
            if all(name.startswith("api") for name in pair):
                assert wait_for(lambda: at.ready() >= accepted, STUCK_S), pair  # noqa: B023
            else:  # what is left accepts and finishes new work
                assert wait_for(lambda: len(at.uploads.acknowledged) > accepted, STUCK_S), pair  # noqa: B023
                assert wait_for(lambda: at.ready() > ready, STUCK_S), pair  # noqa: B023
            for name in pair:
                at.processes.start(name)
