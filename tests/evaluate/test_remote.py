from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from medstt.errors import ModelError
from medstt.evaluate.clip import write_wav
from medstt.evaluate.remote import ATTEMPTS, RemoteSystem
from medstt.evaluate.system import Request, SystemOptions

np = pytest.importorskip("numpy")
pytest.importorskip("httpx")

GOOD = json.dumps(
    {
        "text": "No fever.", "language": "en", "duration": 1.5,
        "words": [{"word": " No", "start": 0.0, "end": 0.4}, {"word": " fever.", "start": 0.4, "end": 1.1}],
    }
)  # fmt: skip


class Server(ThreadingHTTPServer):
    """Answers a script of (status, headers, body), the last one for ever, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[tuple[int, dict[str, str], str]] = []
        self.bodies: list[bytes] = []
        self.keys: list[str | None] = []
        self.answers = threading.Event()  # while it is cleared, nothing is answered
        self.answers.set()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.append(self.headers.get("Authorization"))
        self.server.answers.wait(60)
        script = self.server.script
        status, headers, body = script.pop(0) if len(script) > 1 else script[0]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.answers.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    write_wav(tmp_path / "a.wav", np.zeros(16000, np.float32))
    return Request("u0", tmp_path / "a.wav", "de")


def open_remote(server: Server, pauses: list[float]) -> RemoteSystem:
    options = SystemOptions(api_key="secret", timeout_s=10)
    return RemoteSystem.open(f"http://127.0.0.1:{server.server_port}/v1#whisper-1", options, pauses.append)


def test_a_server_is_asked_as_openai_is(server: Server, request_: Request) -> None:
    server.script = [(200, {}, GOOD)]
    system = open_remote(server, [])
    reply = system.transcribe(request_)
    assert (reply.text, reply.audio_ms, reply.words[1].start_ms) == ("No fever.", 1500, 400)
    assert server.keys == ["Bearer secret"]
    for part in (b'name="model"\r\n\r\nwhisper-1', b'name="language"\r\n\r\nde', b'filename="a.wav"'):
        assert part in server.bodies[0]
    assert "secret" not in json.dumps(dict(system.describe()))


def test_a_busy_server_is_asked_again_after_the_pause_it_wants(server: Server, request_: Request) -> None:
    server.script = [(429, {"Retry-After": "7"}, ""), (503, {}, ""), (200, {}, "<html>"), (200, {}, GOOD)]
    pauses: list[float] = []
    assert open_remote(server, pauses).transcribe(request_).text == "No fever."
    assert 7 <= pauses[0] <= 8.75
    assert len(pauses) == 3


def test_a_server_that_stays_silent_or_talks_nonsense_is_a_failure(server: Server, request_: Request) -> None:
    pauses: list[float] = []
    server.script = [(200, {}, '{"no": "text"}')]
    with pytest.raises(ModelError, match="not a transcription"):
        open_remote(server, pauses).transcribe(request_)
    assert len(server.bodies) == ATTEMPTS
    assert pauses == sorted(pauses)
    server.script = [(401, {}, "bad key")]
    with pytest.raises(ModelError, match="401"):
        open_remote(server, pauses).transcribe(request_)
    assert len(server.bodies) == ATTEMPTS + 1


def test_a_server_that_takes_too_long_is_asked_again_and_then_a_failure(server: Server, request_: Request) -> None:
    server.script = [(200, {}, GOOD)]
    server.answers.clear()
    pauses: list[float] = []
    options = SystemOptions(timeout_s=0.05)
    system = RemoteSystem.open(f"http://127.0.0.1:{server.server_port}/v1#whisper-1", options, pauses.append)
    with pytest.raises(ModelError, match=rf"no answer in {ATTEMPTS} attempts \(timed out\)"):
        system.transcribe(request_)
    assert len(pauses) == ATTEMPTS - 1
    server.answers.set()


def test_nobody_listening_is_a_failure(request_: Request) -> None:
    system = RemoteSystem.open("http://127.0.0.1:9/v1#m", SystemOptions(timeout_s=1), lambda seconds: None)
    with pytest.raises(ModelError, match="connection failed"):
        system.transcribe(request_)


def test_only_the_span_of_a_long_file_is_sent(server: Server, tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", np.zeros(160_000, np.float32))
    server.script = [(200, {}, GOOD)]
    open_remote(server, []).transcribe(Request("u0", tmp_path / "long.wav", "en", 1000, 2000))
    assert 32_000 < len(server.bodies[0]) < 34_000
