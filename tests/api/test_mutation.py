"""Damaged recordings through the real upload route and the decoding processes: no crash, no hang, no leak."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from medstt.client import Client

SAMPLES = Path(__file__).parents[2] / "samples"
LONGEST = 60_000
SLOW_S = 150.0  # a decoder's limit is 120


def originals() -> dict[str, bytes]:
    names = ("arztbrief-de.mp3", "befund-de.webm", "cardiology-en.m4a", "surgery-en.opus", "radiology-en.wav")
    return {name: (SAMPLES / name).read_bytes()[:LONGEST] for name in names}


def mutate(choose: random.Random, original: bytes) -> bytes:
    """Return a recording with changed, missing, repeated or overwritten bytes, mostly near its header."""
    content = bytearray(original)
    damage = choose.randrange(5)
    if damage == 0:
        del content[choose.randrange(1, len(content)) :]
    elif damage == 1:
        start = choose.randrange(len(content))
        del content[start : start + choose.randrange(1, 5000)]
    elif damage == 2:
        start = choose.randrange(len(content))
        content[start:start] = content[: choose.randrange(1, 5000)]
    elif damage == 3:
        start = choose.randrange(len(content))
        content[start : start + choose.randrange(1, 5000)] = bytes([choose.choice((0, 127, 255))]) * 500
    for _ in range(choose.randint(1, 60)):
        reach = min(len(content), 400 if choose.random() < 0.7 else len(content))
        content[choose.randrange(reach)] = choose.randrange(256)
    return bytes(content)


def unfinished(client: Client) -> list[str]:
    return [one.id for status in ("received", "processing") for one in client.list(status=status)]


def settle(client: Client) -> None:
    end = time.monotonic() + 3600
    while unfinished(client):
        assert time.monotonic() < end, unfinished(client)
        time.sleep(0.5)


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(30),
        pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
        pytest.param(2000, marks=[pytest.mark.prove, pytest.mark.timeout(6 * 3600)]),
    ],
)
def test_damaged_recordings_neither_crash_nor_hang_nor_leak(
    program: Callable[..., Any], record: Any, count: int
) -> None:
    seed = int(os.environ.get("MUTATION_SEED", time.time_ns() % 1_000_000))
    choose, samples = random.Random(seed), originals()
    statuses: Counter[int] = Counter()
    slowest, before = 0.0, (0.0, 0)
    environment = {"MEDSTT_REQUESTS_PER_MINUTE": "1000000", "MEDSTT_DECODERS": "1"}
    with (
        record("mutated-uploads") as found,
        program(**environment) as server,
        Client(server.url, server.key, timeout_s=SLOW_S) as client,
        httpx.Client(headers={"Authorization": f"Bearer {server.key}"}, timeout=SLOW_S) as http,
    ):
        found |= {"seed": seed, "files": count}
        for number in range(count):
            name = choose.choice(list(samples))
            files = {"file": (name, mutate(choose, samples[name]))}
            started = time.monotonic()
            answer = http.post(f"{server.url}/v1/dictations", files=files)
            slowest = max(slowest, time.monotonic() - started)
            statuses[answer.status_code] += 1
            assert answer.status_code in (201, 413, 415, 422), (seed, number, name, answer.text)
            if number == count // 3:
                settle(client)
                before = (server.memory_mb(), server.open_files())
        settle(client)
        after = (server.memory_mb(), server.open_files())
        found["answers"] = {str(status): statuses[status] for status in sorted(statuses)}
        found |= {"slowest_answer_s": round(slowest, 2), "memory_mb": [round(before[0]), round(after[0])]}
        found["open_files"] = [before[1], after[1]]
        ready, failed = list(client.list(status="ready")), list(client.list(status="failed"))
        found |= {"ready": len(ready), "failed": Counter(one.raw["failure"]["code"] for one in failed)}
        assert len(ready) + len(failed) == statuses[201] > 0
        assert {"bad_audio", "empty_audio", "unreadable_audio", "unsupported_audio", "too_large"} >= found[
            "failed"
        ].keys()
        assert after[0] < before[0] + 40
        assert after[1] <= before[1] + 8
        assert len(server.children()) <= 1
        stored = [path for path in (server.home / "storage").rglob("*") if path.is_file()]
        assert len(stored) == 3 * len(ready) + len(failed)  # nothing of what was refused
