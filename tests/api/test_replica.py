"""Models in processes of their own behind the API: both routes use them, and one that is killed costs nothing kept."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import active_children
from typing import Any

from medstt.client import Client


def test_models_that_are_killed_are_started_again(start: Callable[..., Any], wav: bytes) -> None:
    live = start(replicas=2, workers=3)
    key = live.key("main")
    with Client(live.url, key, timeout_s=120) as client, live.http(key) as http:
        for _ in range(2):
            made = [client.create(wav).id for _ in range(4)]
            assert [client.wait(one).status for one in made] == ["ready"] * 4
            form = {"model": "whisper-1", "response_format": "verbose_json"}
            answer = http.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav)}, data=form)
            assert answer.json()["text"] == client.document(made[0])["text"]
            with http.stream(
                "POST", "/v1/audio/transcriptions", files={"file": ("a.wav", wav)}, data=form | {"stream": "true"}
            ) as events:
                assert "transcript.text.done" in events.read().decode()
            models = active_children()
            assert len(models) == 2
            for model in models:
                model.kill()
                model.join()
