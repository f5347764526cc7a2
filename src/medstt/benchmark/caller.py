"""A client that costs next to nothing, so that what is measured is the server; and the recordings it sends.

The typed client of the package spends milliseconds a request on the same cores. Knows nothing of measures.
"""

from __future__ import annotations

import http.client
import io
import json
import time
import wave
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from medstt.audio import open_audio
from medstt.benchmark.server import Running
from medstt.errors import InputError, ResourceError
from medstt.manifest import read_manifest
from medstt.values import RATE_HZ, Samples

BOUNDARY = "medstt-benchmark"
IDLE_S = 2.0  # the server closes a connection that is idle for 5 s


def read_speech(samples: Path) -> Samples:
    """Return the English recordings of a sample folder one after the other, 16 kHz; raises InputError for none."""
    found = [one for one in read_manifest(samples / "references.jsonl") if one.lang == "en"]
    if not found:
        raise InputError(f"{samples}: no English recording in it", "Name the repository's samples folder")
    blocks = []
    for one in found:
        with open_audio(samples / one.audio) as stream:
            blocks += [np.asarray(block) for block in stream]
    speech: Samples = np.concatenate(blocks)
    return speech


def make_wav(speech: Samples, seconds: float, start_s: float = 0.0) -> bytes:
    """Return so many seconds of the speech, repeated as needed, as 16-bit wav."""
    count, start = int(seconds * RATE_HZ), int(start_s * RATE_HZ)
    taken = np.take(speech, np.arange(start, start + count), mode="wrap")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(taken, -1, 1) * 32_767).astype("<i2").tobytes())
    return buffer.getvalue()


def make_form(sound: bytes, fields: Mapping[str, str]) -> bytes:
    """Return a multipart form with the recording as ``file``."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'.encode()
    return b"".join([*parts, head, sound, f"\r\n--{BOUNDARY}--\r\n".encode()])


class Caller:
    """One kept connection to a server; not for several threads at once."""

    def __init__(self, server: Running) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
        self._headers = {"Authorization": f"Bearer {server.key}"}
        self._used_s = 0.0

    def __enter__(self) -> Caller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer to a GET; raises ResourceError for any but a success."""
        return self._ask("GET", path, None, {})

    def post(self, path: str, form: bytes) -> dict[str, Any]:
        """Send a form and return the answer; raises ResourceError for any but a success."""
        return self._ask("POST", path, form, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})

    def wait(self, dictation: str) -> str:
        """Follow a dictation by its events until it is ready or failed, and say which."""
        status = ""
        with self._answer("GET", f"/v1/dictations/{dictation}/events", None, {}) as answer:
            for line in answer:
                if line.startswith(b"data: "):
                    status = json.loads(line[6:]).get("status", "")
        self._used_s = time.monotonic()
        return status

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> dict[str, Any]:
        with self._answer(method, path, body, headers) as answer:
            content = answer.read()
        self._used_s = time.monotonic()
        if answer.status >= 300:
            raise ResourceError(f"{method} {path}: {answer.status} {content[:200]!r}", "See the server's log")
        found: dict[str, Any] = json.loads(content)
        return found

    def _answer(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        if time.monotonic() - self._used_s > IDLE_S:
            self._connection.close()  # the next request opens it again
        try:
            self._connection.request(method, path, body, self._headers | headers)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ResourceError(f"{method} {path}: {type(error).__name__}", "See the server's log") from error
