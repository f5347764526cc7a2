from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from recordings import Kind, encode
from test_audio_source import BAD

from medstt.audio import read_audio
from medstt.client import Client
from medstt.errors import InputError, StoreUnavailable, TooLarge, UnsupportedAudio

BAD_FILES = {
    "empty": (b"", 422, "empty_audio"),
    "text": (b"Dear colleague, thank you for referring.\n" * 50, 415, "unsupported_audio"),
    "pdf": (b"%PDF-1.7\n" + b"x" * 5000, 415, "unsupported_audio"),
    "zip": (b"PK\x03\x04" + b"x" * 5000, 415, "unsupported_audio"),
    "png": (b"\x89PNG\r\n\x1a\n" + b"x" * 5000, 415, "unsupported_audio"),
    "header only": (
        b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80>\x00\x00\x00}\x00\x00\x02\x00\x10\x00"
        b"data\x00\x00\x00\x00",
        422,
        "empty_audio",
    ),
    "playlist": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 415, "unsupported_audio"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("path", ["/v1/dictations", "/v1/audio/transcriptions"])
def test_what_is_no_recording_is_refused_with_its_reason(http: Any, name: str, path: str) -> None:
    content, status, code = BAD_FILES[name]
    data = {"model": "whisper-1"} if "audio" in path else {}
    answer = http.post(path, files={"file": ("a.wav", content)}, data=data)
    body = answer.json()
    found = body.get("error", body)
    assert (answer.status_code, found["code"]) == (status, code), answer.text
    assert "recording" in (found.get("detail") or found["message"])
    if path == "/v1/dictations":
        assert http.get(path).json()["items"] == []


def test_too_many_bytes_or_minutes_are_413(http: Any) -> None:
    answer = http.post("/v1/dictations", files={"file": ("a.wav", bytes(9 << 20))})
    assert answer.status_code == 413
    import io
    import wave

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:  # 1.4 MB that last three minutes
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80\x90" * (8000 * 90))
    answer = http.post("/v1/dictations", files={"file": ("a.wav", buffer.getvalue())})
    assert answer.status_code == 413, answer.text
    assert "minutes" in answer.json()["detail"]


def refusal(client: Client, content: bytes) -> str:
    """Return why a recording is refused: by the upload, or once it is decoded whole."""
    try:
        made = client.wait(client.create(content).id)
    except (InputError, UnsupportedAudio, TooLarge) as error:
        return str(error)
    assert made.status == "failed"
    return made.failure or ""


def test_every_bad_file_is_refused_over_http_in_the_librarys_words(client: Client) -> None:
    for name, (content, kind, _) in BAD.items():
        with pytest.raises(kind) as caught:
            read_audio(content, name)
        assert refusal(client, content) == str(caught.value).replace(f"{name}: ", "The recording: ", 1), name


def test_a_small_file_with_more_sound_than_allowed_is_refused(client: Client) -> None:
    for kind in (Kind("flac", "flac"), Kind("mp3", "libmp3lame", 8_000, bit_rate=8_000)):
        bomb = encode(np.zeros((1, 150 * kind.rate_hz), np.float32), kind)
        assert len(bomb) < 400_000
        assert "over the limit of 2" in refusal(client, bomb)
        assert "over the limit of 2" in refusal(client, bomb.replace(b"Xing", b"none").replace(b"Info", b"none"))


def post_raw(http: httpx.Client, body: bytes, content_type: str) -> httpx.Response:
    return http.post("/v1/dictations", content=body, headers={"Content-Type": content_type})


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"x", "multipart/form-data", 400),
        (b"x", "multipart/form-data; boundary=" + "b" * 200, 400),
        (b"garbage", "multipart/form-data; boundary=b", 400),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF',
            "multipart/form-data; boundary=b",
            400,
        ),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 400),
        (b"--b\r\n" + b"X-A: 1\r\n" * 200 + b"\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 400),
        (
            b'--b\r\nContent-Disposition: form-data; name="author"\r\n\r\n\xff\xfe\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            400,
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="author"\r\n\r\nx\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            400,
        ),
    ],
)
def test_malformed_forms_are_refused(http: Any, body: bytes, content_type: str, status: int) -> None:
    assert post_raw(http, body, content_type).status_code == status


def test_fields_are_checked(http: Any, wav: bytes) -> None:
    for fields in (
        {"priority": "now"},
        {"nonsense": "1"},
        {"patient": "x" * 300},
        {"author": "a\x00b"},
        {"author": " "},
    ):
        answer = http.post("/v1/dictations", files={"file": ("a.wav", wav)}, data=fields)
        assert answer.status_code == 422, fields
    answer = http.post("/v1/dictations", files=[("file", ("a.wav", wav)), ("file", ("b.wav", wav))])
    assert answer.status_code == 400


def test_names_and_metadata_are_only_ever_shown(live: Any, http: Any, wav: bytes) -> None:
    name = '../../../etc/cron.d/<img src=x onerror="alert(1)">.wav'
    answer = http.post(
        "/v1/dictations",
        files={"file": (name, wav)},
        data={"patient": "<script>alert(1)</script>", "author": "Dr. Ünal"},
    )
    assert answer.status_code == 201
    made = answer.json()
    assert "/" not in made["file_name"]
    assert made["patient"] == "<script>alert(1)</script>"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in answer.headers["content-security-policy"]


def test_a_request_id_is_ours_unless_it_is_harmless(http: Any) -> None:
    assert http.get("/healthz", headers={"X-Request-Id": "abc-123"}).headers["x-request-id"] == "abc-123"
    assert http.get("/healthz", headers={"X-Request-Id": "a b<script>"}).headers["x-request-id"] != "a b<script>"
    assert http.get("/healthz", headers={"X-Request-Id": "x" * 500}).headers["x-request-id"] != "x" * 500


def connect(live: Any) -> socket.socket:
    host, port = live.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def test_headers_must_arrive_in_time(start: Callable[..., Any]) -> None:
    with connect(start(header_s=1)) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        assert slow.recv(100) == b""  # closed by the deadline, without an answer


def test_bodies_must_keep_arriving(start: Callable[..., Any], tenant: str) -> None:
    live = start(body_s=1)
    with connect(live) as slow:
        head = (
            f"POST /v1/dictations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {live.key(tenant)}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n--b\r\n"
        )
        slow.sendall(head.encode())
        assert b" 408 " in slow.recv(2000)


def test_oversized_headers_and_bodies_are_refused(live: Any, tenant: str) -> None:
    with connect(live) as big:
        big.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 40_000)
        assert b" 400 " in big.recv(2000)
    with live.http(live.key(tenant)) as http:
        body = {"entries": [{"name": "x" * 5_000_000}]}
        assert http.put("/v1/vocabulary/site/autotexts", json=body).status_code == 413


def test_a_database_that_is_down_is_503_and_the_upload_leaves_nothing(
    live: Any, http: Any, wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name for name, _ in live.service.store.objects.names()}

    def down(*args: object) -> None:
        raise StoreUnavailable("the database does not answer", "Retry in a moment.")

    monkeypatch.setattr(type(live.service.store.dictations), "create", down)
    answer = http.post("/v1/dictations", files={"file": ("a.wav", wav)})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert {name for name, _ in live.service.store.objects.names()} <= before
