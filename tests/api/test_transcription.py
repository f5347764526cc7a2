from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

SAID = "the patient is well"


@pytest.fixture
def official(live: Any, tenant: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.key(tenant), max_retries=0) as client:
        yield client


def test_the_official_client_transcribes_in_every_format(official: openai.OpenAI, wav: bytes) -> None:
    make = official.audio.transcriptions.create
    assert make(file=("a.wav", wav), model="whisper-1").text == SAID.capitalize()
    assert make(file=("a.wav", wav), model="whisper-1", extra_body={"format": "verbatim"}).text == SAID
    assert make(file=("a.wav", wav), model="whisper-1", response_format="text").strip() == SAID.capitalize()
    assert make(file=("a.wav", wav), model="whisper-1", response_format="vtt").startswith("WEBVTT")
    assert "00:00:00," in make(file=("a.wav", wav), model="whisper-1", response_format="srt")
    verbose = make(
        file=("a.wav", wav),
        model="whisper-1",
        language="en",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert verbose.language == "english"
    assert verbose.duration == 2.0
    assert [word.word for word in verbose.words or []] == SAID.split()
    assert all(0 <= word.start <= word.end <= 2 for word in verbose.words or [])
    assert verbose.segments is not None
    assert verbose.segments[0].avg_logprob == -0.1


def test_the_official_client_streams(official: openai.OpenAI, wav: bytes) -> None:
    events = list(official.audio.transcriptions.create(file=("a.wav", wav), model="whisper-1", stream=True))
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[0].delta == events[1].text == SAID


def test_the_official_client_lists_models_and_gets_its_errors(official: openai.OpenAI, live: Any, wav: bytes) -> None:
    assert live.settings.model in [model.id for model in official.models.list()]
    with pytest.raises(openai.NotFoundError, match="no model"):
        official.audio.transcriptions.create(file=("a.wav", wav), model="../../etc")
    with pytest.raises(openai.APIStatusError) as caught:
        official.audio.transcriptions.create(file=("a.pdf", b"%PDF-1.7 x"), model="whisper-1")
    assert caught.value.status_code == 415
    with pytest.raises(openai.UnprocessableEntityError):
        official.audio.transcriptions.create(file=("a.wav", wav), model="whisper-1", language="xx")
    with (
        openai.OpenAI(base_url=f"{live.url}/v1", api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()


def test_fields_without_effect_are_named(http: Any, wav: bytes) -> None:
    data = {"model": "whisper-1", "prompt": "aspirin", "temperature": "0.4", "chunking_strategy": "auto"}
    data["timestamp_granularities[]"] = "word"
    answer = http.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav)}, data=data)
    warnings = " ".join(answer.json()["warnings"])
    for name in ("prompt", "temperature", "chunking_strategy", "timestamp_granularities", "whisper-1"):
        assert name in warnings
    data = {"model": "whisper-1", "prompt": "ärztlich", "response_format": "text"}
    answer = http.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav)}, data=data)
    assert any("prompt" in one for one in json.loads(answer.headers["x-medstt-warnings"]))


def test_nothing_is_stored(live: Any, http: Any, wav: bytes) -> None:
    before = sorted(live.settings.storage_folder.rglob("*"))
    for stream in ("false", "true"):
        data = {"model": "whisper-1", "stream": stream}
        assert http.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav)}, data=data).status_code == 200
    http.post("/v1/audio/transcriptions", files={"file": ("a.wav", b"nonsense")}, data={"model": "whisper-1"})
    after = [path for path in sorted(live.settings.storage_folder.rglob("*")) if path.name != "spool"]
    assert after == [path for path in before if path.name != "spool"]
    assert http.get("/v1/dictations").json()["items"] == []


def test_silence_is_not_given_words(http: Any) -> None:
    import io
    import wave

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(64000))
    answer = http.post(
        "/v1/audio/transcriptions", files={"file": ("a.wav", buffer.getvalue())}, data={"model": "whisper-1"}
    )
    assert answer.json()["text"] == ""
    assert any("no speech" in one for one in answer.json()["warnings"])
