"""The machine fails under the service: disk full, storage slow, database down, clock wrong, model missing."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from medstt.client import Client
from medstt.errors import MedsttError


def assert_kept(client: Client, accepted: list[str], wav: bytes) -> None:
    """Everything acknowledged becomes ready, its sound is the one sent, and the audit is whole."""
    for one in accepted:
        done = client.wait(one)
        assert done.status == "ready", done.failure
        assert client.audio(one) == wav


def test_a_full_disk_is_507_and_leaves_nothing_behind(
    start: Callable[..., Any], wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = start()
    full = threading.Event()
    sync = os.fsync

    def fsync(descriptor: int) -> None:  # delayed allocation: a full disk often shows only here
        if full.is_set():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with Client(live.url, live.key("main"), timeout_s=120) as client, live.http(live.key("main")) as http:
        accepted = [client.wait(client.create(wav).id).id]
        waiting = live.service.store.objects
        before = sorted(name for name, _ in waiting.names())
        full.set()
        answer = http.post("/v1/dictations", files={"file": ("a.wav", wav)})
        assert (answer.status_code, answer.json()["code"]) == (507, "out_of_resource")
        assert "disk is full" in answer.json()["detail"]
        assert sorted(name for name, _ in waiting.names()) == before
        answer = http.post(f"/v1/dictations/{accepted[0]}/corrections", json={"text": "x"}, headers={"If-Match": "*"})
        assert answer.status_code == 507
        full.clear()
        accepted.append(client.create(wav).id)
        assert_kept(client, accepted, wav)
        assert client.document(accepted[0])["corrections"] == 0


def test_a_result_that_finds_the_disk_full_waits_and_costs_no_attempt(
    start: Callable[..., Any], wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = start(attempts=1, backoff_s=0.05, backoff_max_s=0.5)
    full = threading.Event()
    refused = threading.Semaphore(0)
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if full.is_set() and threading.current_thread().name.startswith("worker-"):
            refused.release()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with Client(live.url, live.key("main"), timeout_s=120) as client:
        full.set()
        made = client.create(wav)
        for _ in range(3):
            assert refused.acquire(timeout=120)
        full.clear()
        assert_kept(client, [made.id], wav)
        assert client.get(made.id).raw["attempts"] == 1


def test_slow_storage_delays_uploads_and_nothing_else(
    start: Callable[..., Any], wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = start()
    release, waiting = threading.Event(), threading.Semaphore(0)
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        waiting.release()
        assert release.wait(300)
        sync(descriptor)

    key = live.key("main")
    uploads = 44  # more than the framework has threads
    answers: list[httpx.Response] = []

    def upload() -> None:
        with live.http(key) as http:
            answers.append(http.post("/v1/dictations", files={"file": ("a.wav", wav)}, timeout=300))

    with live.http(key) as http:
        assert http.get("/v1/me").status_code == 200
        monkeypatch.setattr(os, "fsync", fsync)
        threads = [threading.Thread(target=upload) for _ in range(uploads)]
        threads[0].start()
        assert waiting.acquire(timeout=120)
        assert http.get("/v1/dictations").json()["items"] == []  # not acknowledged, so not there; others are served
        for thread in threads[1:]:
            thread.start()
        for _ in range(39):  # every thread hangs in storage now
            assert waiting.acquire(timeout=120)
        assert http.get("/healthz").status_code == 200
        release.set()
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in answers] == [201] * uploads
    with Client(live.url, key, timeout_s=120) as client:
        assert_kept(client, [answer.json()["id"] for answer in answers], wav)


@contextmanager
def down(url: str) -> Iterator[None]:
    """Take one database away: every connection to it is cut, new ones are refused."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    options = {"host": parsed.query["host"], "user": "medstt", "dbname": "postgres", "autocommit": True}
    with psycopg.connect(**options) as admin:  # type: ignore[arg-type]
        admin.execute(f'ALTER DATABASE "{parsed.database}" ALLOW_CONNECTIONS false')  # type: ignore[arg-type]
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [parsed.database])
        try:
            yield
        finally:
            admin.execute(f'ALTER DATABASE "{parsed.database}" ALLOW_CONNECTIONS true')  # type: ignore[arg-type]


def test_a_database_that_goes_down_is_503_and_what_was_accepted_becomes_ready(
    start: Callable[..., Any], postgresql_url: str, wav: bytes
) -> None:
    live = start(database_url=postgresql_url, lease_s=2, attempts=50)
    key = live.key("main")
    with Client(live.url, key, timeout_s=120) as client, live.http(key) as http:
        accepted = [client.create(wav).id for _ in range(4)]  # some are being worked on
        with down(postgresql_url):
            answer = http.post("/v1/dictations", files={"file": ("a.wav", wav[:1000])})
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert answer.headers["retry-after"]
            assert http.get(f"/v1/dictations/{accepted[0]}").status_code == 503
            assert http.get("/healthz").status_code == 200
            ready = http.get("/readyz")
            assert (ready.status_code, ready.json()["parts"]["database"]) == (503, "store_unavailable")
        accepted.append(client.create(wav).id)
        assert_kept(client, accepted, wav)
        assert http.get("/readyz").status_code == 200
        assert http.get("/v1/audit/verification").json()["problem"] is None


def test_a_clock_that_jumps_loses_nothing(start: Callable[..., Any], wav: bytes) -> None:
    live = start(lease_s=2)
    offsets_ms = [0]
    live.service.store.database._clock_ms = lambda: time.time_ns() // 1_000_000 + offsets_ms[-1]
    with Client(live.url, live.key("main"), timeout_s=120) as client, live.http(live.key("main")) as http:
        accepted = []
        for offset_ms in (0, 3_600_000, -86_400_000, 0):
            offsets_ms.append(offset_ms)
            accepted += [client.create(wav).id for _ in range(2)]
        assert_kept(client, accepted, wav)
        assert {one.id for one in client.list(limit="3")} == set(accepted)
        assert http.get("/v1/audit/verification").json()["problem"] is None
        for one in accepted:
            actions = [entry["action"] for entry in http.get("/v1/audit", params={"subject": one}).json()["items"]]
            assert actions.count("dictation.ready") == 1


def test_a_missing_model_is_named_and_dictations_wait_for_it(start: Callable[..., Any], wav: bytes) -> None:
    live = start(engine="onnx", model="no-such-model", attempts=1, backoff_s=0.05, backoff_max_s=0.5)
    with Client(live.url, live.key("main"), timeout_s=120) as client, live.http(live.key("main")) as http:
        assert http.get("/readyz").json()["parts"]["model"] == "unknown_model"
        answer = http.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav)}, data={"model": "whisper-1"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_model")
        made = client.create(wav)
        for state in client.follow(made.id):
            if state["reason"]:
                break
        assert "no-such-model" in state["reason"]
        assert client.get(made.id).status in ("received", "processing")
        assert client.audio(made.id) == wav


def test_rate_limits_are_counted_in_each_process(start: Callable[..., Any]) -> None:
    replicas = [start(requests_per_minute=3), start(requests_per_minute=3)]
    key = replicas[0].key("main")
    for live in replicas:
        with live.http(key) as http:
            assert [http.get("/v1/me").status_code for _ in range(5)] == [200, 200, 200, 429, 429]


def may_mount() -> bool:
    """Say whether a process may have a small disk of its own here."""
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0
    )


if may_mount():  # an unprivileged container cannot have this test, so it must not count as skipped there

    @pytest.mark.slow
    def test_a_disk_that_really_fills_up(tmp_path: Path, program: Callable[..., Any], wav: bytes) -> None:
        script = f'mount -t tmpfs -o size=16m none "{tmp_path}/home" && head -c 4m /dev/zero >"{tmp_path}/home/ballast"'
        disk = ("unshare", "-m", "sh", "-c", script + ' && exec "$@"', "sh")
        with (
            program(disk, MEDSTT_ATTEMPTS="1", MEDSTT_BACKOFF_S="0.1") as server,
            Client(server.url, server.key, timeout_s=300) as client,
        ):
            accepted: list[str] = []
            refused: MedsttError | None = None
            while refused is None and len(accepted) < 400:
                try:
                    accepted.append(client.create(wav).id)
                except MedsttError as error:
                    refused = error
            assert accepted
            assert "disk is full" in str(refused)
            ready = httpx.get(f"{server.url}/readyz", timeout=60)
            assert ready.json()["parts"]["storage"] == "out_of_resource"
            Path(f"/proc/{server.process.pid}/root{server.home}/ballast").unlink()
            accepted.append(client.create(wav).id)
            assert_kept(client, accepted, wav)
