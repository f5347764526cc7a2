"""An OpenAI-compatible transcription server under test: one request per clip, retried with backoff, never guessed.

Knows nothing of scores. The key goes into one header and nowhere else.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from medstt.errors import DataError, ModelError, ModelUnavailable, OptionError
from medstt.evaluate.clip import clip_file
from medstt.evaluate.external import reply_of
from medstt.evaluate.system import HeardWord, Reply, Request, SystemOptions

ATTEMPTS = 4
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class _Transient(Exception):
    """A failure worth another attempt, with the pause the server asked for (seconds, None if it named none)."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class RemoteSystem:
    """A server that answers ``POST {base}/audio/transcriptions`` as OpenAI's does."""

    def __init__(
        self, base: str, model: str, client: Any, options: SystemOptions, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._url = base.rstrip("/") + "/audio/transcriptions"
        self._model, _, fields = model.partition("?")
        self._fields = dict(parse_qsl(fields))
        self._client = client
        self._options = options
        self._pause = pause

    @classmethod
    def open(cls, name: str, options: SystemOptions, pause: Callable[[float], None] = time.sleep) -> RemoteSystem:
        """Open ``http://HOST/v1#MODEL``; raises OptionError without a model, ModelUnavailable without httpx.

        ``#MODEL?name=value&...`` sends further fields: our own server answers as heard with ``?format=verbatim``.
        """
        base, _, model = name.partition("#")
        if not model:
            raise OptionError(f"{name!r} names no model", "Write it after a #, as in http://host:8000/v1#whisper-1")
        try:
            import httpx
        except ImportError as error:
            raise ModelUnavailable("remote systems need the package httpx", "Run `pip install httpx`") from error
        headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
        limits = httpx.Limits(max_keepalive_connections=0)  # nobody closes a system: no connection outlives its answer
        client = httpx.Client(timeout=options.timeout_s, headers=headers, limits=limits)
        return cls(base, model, client, options, pause)

    def describe(self) -> Mapping[str, Any]:
        """Return the address and the model's name; a remote model has no digest."""
        address = self._url.removesuffix("/audio/transcriptions")
        about = {"kind": "openai", "name": self._model, "url": address, "language": self._options.language or "given"}
        return about | ({"fields": self._fields} if self._fields else {})

    def transcribe(self, request: Request) -> Reply:
        """Send one clip; raises ModelError after the last attempt, at once if the server refuses the request."""
        reason = ""
        for attempt in range(ATTEMPTS):
            try:
                return self._ask(request)
            except _Transient as failure:
                reason = str(failure)
                if attempt + 1 < ATTEMPTS:
                    pause_s = failure.after_s if failure.after_s is not None else FIRST_PAUSE_S * 2**attempt
                    self._pause(min(LONGEST_PAUSE_S, pause_s * random.uniform(1.0, 1.25)))
        raise ModelError(f"{request.key}: no answer in {ATTEMPTS} attempts ({reason})", "Run again to ask for it again")

    def _ask(self, request: Request) -> Reply:
        import httpx

        language = self._options.language or request.language
        fields = {
            "model": self._model, "response_format": "verbose_json", "temperature": "0",
            "timestamp_granularities[]": "word", **({} if language == "auto" else {"language": language}),
            **self._fields,
        }  # fmt: skip
        with clip_file(request) as path:
            try:
                content = path.read_bytes()
            except OSError as error:
                raise ModelError(
                    f"{request.key}: {path.name}: {error.strerror}", "Check the manifest's audio"
                ) from error
        try:
            answer = self._client.post(self._url, data=fields, files={"file": (path.name, content)})
        except httpx.TimeoutException as error:
            raise _Transient("timed out") from error
        except httpx.TransportError as error:
            raise _Transient(f"connection failed: {error}") from error
        if answer.status_code in _AGAIN:
            raise _Transient(f"status {answer.status_code}", _retry_after(answer.headers.get("retry-after")))
        if answer.status_code != 200:
            raise ModelError(
                f"{request.key}: status {answer.status_code}: {answer.text[:200]}", "Check model, key and URL"
            )
        return self._parse(answer.text)

    def _parse(self, body: str) -> Reply:
        try:
            row = json.loads(body)
            reply = reply_of({"text": row["text"]})
        except (json.JSONDecodeError, KeyError, TypeError, DataError) as error:
            raise _Transient("the answer is not a transcription") from error
        words = tuple(
            HeardWord(str(w.get("word", "")).strip(), round(w.get("start", 0) * 1000), round(w.get("end", 0) * 1000),
                      w.get("probability", w.get("confidence")))
            for w in row.get("words") or ()
        )  # fmt: skip
        duration = row.get("duration")
        audio_ms = round(float(duration) * 1000) if duration is not None else None
        return Reply(reply.text, words, None, row.get("language"), audio_ms)


def _retry_after(header: str | None) -> float | None:
    return float(header) if header and header.replace(".", "", 1).isdigit() else None
