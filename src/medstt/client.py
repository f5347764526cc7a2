"""A thin typed client of the REST API: one method per operation, dataclasses for what comes back.

Owns retries of what is safe to repeat. Knows nothing of the server's insides.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

import httpx

from medstt.errors import (
    AccessError,
    ConflictError,
    InputError,
    MedsttError,
    NotAuthenticated,
    NotFoundError,
    ResourceError,
    StaleError,
    TooLarge,
    TooManyRequests,
    UnsupportedAudio,
)

STATUS: Mapping[int, type[MedsttError]] = {
    401: NotAuthenticated,
    403: AccessError,
    404: NotFoundError,
    409: ConflictError,
    412: StaleError,
    413: TooLarge,
    415: UnsupportedAudio,
    429: TooManyRequests,
}
TRIES = 4


@dataclass(frozen=True, slots=True)
class RemoteDictation:
    """A dictation as the server shows it; ``raw`` holds every field of the answer."""

    id: str
    status: str
    version: int
    report_state: str
    raw: Mapping[str, Any]

    @property
    def failure(self) -> str | None:
        """Why it failed, if it did."""
        found = self.raw["failure"]
        return None if found is None else str(found["message"])


class Client:
    """Calls one server with one key; a context manager. Raises the same errors that the library raises."""

    def __init__(self, url: str, key: str, *, timeout_s: float = 60.0, transport: httpx.BaseTransport | None = None):
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {key}"},
            timeout=timeout_s,
            transport=transport,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # transcription

    def transcribe(self, file: Path | bytes, **fields: str) -> dict[str, Any]:
        """Transcribe a recording that the server does not keep; fields as in OpenAI's API."""
        with _opened(file) as (name, stream):
            data = {"model": "whisper-1", **fields}
            answer = self._send("POST", "/v1/audio/transcriptions", files={"file": (name, stream)}, data=data)
        return cast(dict[str, Any], answer.json())

    def models(self) -> list[str]:
        """Return the names of the models that can be asked for."""
        return [str(one["id"]) for one in self._send("GET", "/v1/models").json()["data"]]

    # dictations

    def create(self, file: Path | bytes, *, idempotency_key: str | None = None, **fields: str) -> RemoteDictation:
        """Upload a dictation; repeated after a broken connection without creating a second one."""
        key = idempotency_key or str(uuid.uuid4())
        for attempt in range(TRIES):
            try:
                with _opened(file) as (name, stream):
                    answer = self._send(
                        "POST",
                        "/v1/dictations",
                        files={"file": (name, stream)},
                        data=fields,
                        headers={"Idempotency-Key": key},
                    )
                return _dictation(answer.json())
            except ResourceError:
                if attempt == TRIES - 1:
                    raise
                time.sleep(0.2 * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def get(self, dictation: str) -> RemoteDictation:
        """Return one dictation."""
        return _dictation(self._send("GET", f"/v1/dictations/{dictation}").json())

    def list(self, **filters: str) -> Iterator[RemoteDictation]:
        """Yield every dictation that fits, newest first, page by page."""
        cursor: str | None = None
        while True:
            page = self._send("GET", "/v1/dictations", params=filters | ({"cursor": cursor} if cursor else {})).json()
            for item in page["items"]:
                yield _dictation(item)
            cursor = page["cursor"]
            if cursor is None:
                return

    def wait(self, dictation: str, timeout_s: float = 600.0) -> RemoteDictation:
        """Follow a dictation until it is ready or failed; raises ResourceError when that takes too long."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for _ in self.follow(dictation, end):
                pass
            found = self.get(dictation)
            if found.status in ("ready", "failed"):
                return found
        raise ResourceError(f"dictation {dictation} was not ready after {timeout_s:.0f} s", "Wait longer.")

    def follow(self, dictation: str, end: float | None = None) -> Iterator[dict[str, Any]]:
        """Yield the status each time it changes, until it is ready or failed (or the connection ends)."""
        try:
            with self._http.stream("GET", f"/v1/dictations/{dictation}/events", timeout=60) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _error(answer)
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line.removeprefix("data: "))
                    if end is not None and time.monotonic() > end:
                        return
        except httpx.TransportError as error:
            raise ResourceError(f"the server does not answer: {type(error).__name__}", "Retry.") from error

    def document(self, dictation: str) -> dict[str, Any]:
        """Return the report as it reads now."""
        return cast(dict[str, Any], self._send("GET", f"/v1/dictations/{dictation}/document").json())

    def transcript(self, dictation: str) -> dict[str, Any]:
        """Return the verbatim words."""
        return cast(dict[str, Any], self._send("GET", f"/v1/dictations/{dictation}/transcript").json())

    def audio(self, dictation: str) -> bytes:
        """Return the recording as it was uploaded."""
        return self._send("GET", f"/v1/dictations/{dictation}/audio").content

    def correct(self, dictation: str, version: int, text: str) -> RemoteDictation:
        """Append a correction made on a version; raises StaleError if it is not the current one."""
        return self._change(dictation, "corrections", version, {"text": text})

    def sign(self, dictation: str, version: int) -> RemoteDictation:
        """Make the report final."""
        return self._change(dictation, "sign", version, None)

    def reopen(self, dictation: str, version: int, reason: str) -> RemoteDictation:
        """Open a signed report again."""
        return self._change(dictation, "reopen", version, {"reason": reason})

    def export(self, dictation: str, format: str) -> bytes:
        """Return the report as a file of some format."""
        return self._send("GET", f"/v1/dictations/{dictation}/export", params={"format": format}).content

    def erase(self, dictation: str) -> None:
        """Erase a dictation."""
        self._send("DELETE", f"/v1/dictations/{dictation}")

    # vocabulary

    def vocabulary(self, layer: str, kind: str) -> dict[str, Any]:
        """Return a list with its version."""
        return cast(dict[str, Any], self._send("GET", f"/v1/vocabulary/{layer}/{kind}").json())

    def write_vocabulary(
        self, layer: str, kind: str, entries: Sequence[Mapping[str, Any]], version: int
    ) -> dict[str, Any]:
        """Replace a list, after the version that was read."""
        path, headers = f"/v1/vocabulary/{layer}/{kind}", {"If-Match": f'"{version}"'}
        return cast(dict[str, Any], self._send("PUT", path, json={"entries": list(entries)}, headers=headers).json())

    def _change(self, dictation: str, what: str, version: int, body: Any) -> RemoteDictation:
        path, headers = f"/v1/dictations/{dictation}/{what}", {"If-Match": f'"{version}"'}
        return _dictation(self._send("POST", path, json=body, headers=headers).json())

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise ResourceError(f"the server does not answer: {type(error).__name__}", "Retry.") from error
        if answer.status_code >= 400:
            raise _error(answer)
        return answer


class _opened:
    """A file to upload: opened from a path, or bytes as they are."""

    def __init__(self, file: Path | bytes) -> None:
        self._file = file
        self._stream: BinaryIO | None = None

    def __enter__(self) -> tuple[str, BinaryIO | bytes]:
        if isinstance(self._file, bytes):
            return "recording", self._file
        try:
            self._stream = self._file.open("rb")
        except OSError as error:
            raise InputError(f"{self._file} cannot be read: {error.strerror}", "Check path and rights.") from error
        return self._file.name, self._stream

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()


def _dictation(raw: Mapping[str, Any]) -> RemoteDictation:
    return RemoteDictation(raw["id"], raw["status"], raw["version"], raw["report_state"], raw)


def _error(answer: httpx.Response) -> MedsttError:
    try:
        body = answer.json()
        detail = body["detail"] if "detail" in body else body["error"]["message"]
    except (ValueError, KeyError, TypeError):
        detail = f"the server answered {answer.status_code}"
    fallback = ResourceError if answer.status_code >= 500 else InputError
    return STATUS.get(answer.status_code, fallback)(str(detail))
