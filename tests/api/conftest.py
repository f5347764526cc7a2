"""A real server on loopback with the shipped fake engine, and a tenant of its own for each test."""

from __future__ import annotations

import io
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from medstt.api.app import create_app
from medstt.api.server import make_server
from medstt.client import Client
from medstt.service import Settings, open_service
from medstt.work.service import Service

RESULTS = Path(__file__).parents[2] / "serving" / "results"
Record = Callable[[str], AbstractContextManager[dict[str, Any]]]


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Print what a long test found; in the prove tier also write it to serving/results, passed or failed."""

    @contextmanager
    def recorded(name: str) -> Iterator[dict[str, Any]]:
        found: dict[str, Any] = {}
        started, outcome = time.monotonic(), "failed"
        try:
            yield found
            outcome = "passed"
        finally:
            prove = request.node.get_closest_marker("prove")
            head = {
                "test": request.node.nodeid,
                "date": datetime.now(UTC).date().isoformat(),
                "command": "make prove" if prove else "make slow",
                "outcome": outcome,
                "minutes": round((time.monotonic() - started) / 60, 1),
            }
            print(json.dumps(head | found))
            if prove:
                RESULTS.mkdir(exist_ok=True)
                (RESULTS / f"{name}.json").write_text(json.dumps(head | found, indent=1) + "\n", encoding="utf-8")

    return recorded


@dataclass
class Live:
    url: str
    service: Service
    settings: Settings
    app: FastAPI

    def key(self, tenant: str, role: str = "admin", **options: object) -> str:
        return self.service.store.keys.issue(tenant, f"{role} of {tenant}", role, **options)  # type: ignore[arg-type]

    def http(self, key: str | None) -> httpx.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120)


def make_wav(seconds: float = 2.0) -> bytes:
    """A voice-like sound: harmonics of 150 Hz that swell and fade, quiet at both ends."""
    t = np.arange(int(seconds * 16000)) / 16000
    tone = sum(np.sin(2 * np.pi * 150 * n * t) / n for n in range(1, 12))
    loud = np.clip(np.sin(np.pi * t / seconds), 0, 1) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    samples = (tone * loud * 6000).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


@pytest.fixture(scope="session")
def wav() -> bytes:
    return make_wav()


@contextmanager
def serving(settings: Settings) -> Iterator[Live]:
    service = open_service(settings)
    app = create_app(service, settings)
    server = make_server(app, service, settings)
    service.start()
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 120
    while server.port is None and time.monotonic() < end:
        thread.join(0.02)
    try:
        yield Live(f"http://127.0.0.1:{server.port}", service, settings, app)
    finally:
        server.should_exit = True
        thread.join()
        service.close()


def quick(home: Path, **changed: Any) -> Settings:
    """Settings of a server for tests: the fake engine, one worker, small limits."""
    values: dict[str, Any] = {
        "engine": "fake",
        "port": 0,
        "workers": 1,
        "decoders": 1,
        "poll_s": 0.1,
        "max_upload_mb": 8,
        "max_audio_minutes": 2,
        "header_s": 60,
        "body_s": 60,
        "requests_per_minute": 100_000,
        "failures_per_minute": 100_000,
        "log_level": "error",
        "drain_s": 5,
    }
    return Settings(home=home, **(values | changed))


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(quick(tmp_path_factory.mktemp("home"))) as found:
        yield found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """Start servers of a test's own, with settings that differ; they share one home unless told otherwise."""
    with ExitStack() as stack:
        yield lambda **changed: stack.enter_context(serving(quick(**{"home": tmp_path / "home", **changed})))


@dataclass
class Program:
    """`medstt serve` in a process of its own."""

    url: str
    key: str
    home: Path
    log: Path
    process: subprocess.Popen[str]

    def children(self) -> list[int]:
        """Return its child processes; each belongs to the thread that started it."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(one) for thread in threads for one in (thread / "children").read_text().split()]

    def memory_mb(self) -> float:
        """Return the resident memory of the server itself, without its decoders."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., AbstractContextManager[Program]]:
    """Start the program with settings from the environment, after ``prefix``; it must end by SIGTERM with code 0."""

    @contextmanager
    def running(prefix: tuple[str, ...] = (), **environment: str) -> Iterator[Program]:
        home, log = tmp_path / "home", tmp_path / "log"
        home.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDSTT_")}
        given = {"MEDSTT_HOME": str(home), "MEDSTT_ENGINE": "fake", "MEDSTT_PORT": "0", "MEDSTT_PRELOAD": "false"}
        with log.open("w") as out:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "medstt", "serve"],
                env=kept | given | environment,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
            )
            try:
                assert process.stdout is not None
                key = process.stdout.readline().removeprefix("admin key: ").strip()
                while '"listening"' not in log.read_text():
                    assert process.poll() is None, log.read_text()
                    time.sleep(0.1)
                listening = next(line for line in log.read_text().splitlines() if '"listening"' in line)
                url = f"http://127.0.0.1:{json.loads(listening)['port']}"
                yield Program(url, key, home, log, process)
                process.send_signal(signal.SIGTERM)
                assert process.wait(300) == 0
            finally:
                process.kill()
                process.communicate()

    return running


@pytest.fixture
def tenant() -> str:
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def http(live: Live, tenant: str) -> Iterator[httpx.Client]:
    with live.http(live.key(tenant)) as client:
        yield client


@pytest.fixture
def client(live: Live, tenant: str) -> Iterator[Client]:
    with Client(live.url, live.key(tenant), timeout_s=120) as client:
        yield client


@pytest.fixture
def ready(client: Client, wav: bytes) -> Callable[..., str]:
    """Create a dictation, wait until it is ready, return its id."""

    def make(**fields: str) -> str:
        made = client.wait(client.create(wav, **fields).id)
        assert made.status == "ready", made.failure
        return made.id

    return make
