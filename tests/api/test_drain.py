"""The end of a process: what it has in hand is finished or given back, costs no attempt, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from medstt.client import Client


def test_what_is_in_hand_at_shutdown_is_finished_or_given_back(start: Callable[..., Any], wav: bytes) -> None:
    ending = start(workers=2)
    with Client(ending.url, ending.key("main"), timeout_s=120) as client:
        made = [client.create(wav).id for _ in range(6)]
        ending.service.workers.stop(0)
        assert not ending.service.workers.alive()
        assert "processing" not in ending.service.store.queue.depth()
    other = start()
    with Client(other.url, other.key("main"), timeout_s=120) as client:
        done = [client.wait(one) for one in made]
    assert [(one.status, one.raw["attempts"]) for one in done] == [("ready", 1)] * 6
