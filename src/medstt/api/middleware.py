"""Around every request: an id, security headers, a limit on small bodies, a log line and metrics, without any text.

Knows nothing of routes.
"""

from __future__ import annotations

import re
import secrets
import time

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medstt.api.problem import respond
from medstt.work.log import Log
from medstt.work.metric import Metrics

SMALL_BODY_BYTES = 4 << 20  # everything but uploads, which have their own limit
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
UPLOADS = ("/v1/dictations", "/v1/audio/transcriptions")
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"microphone=(self), camera=(), geolocation=()"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"media-src 'self' blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"cache-control", b"no-store"),
)


class Envelope:
    """Pure ASGI middleware, so that streams pass through it unbuffered."""

    def __init__(self, app: ASGIApp, metrics: Metrics, log: Log) -> None:
        self._app, self._metrics, self._log = app, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        sent = False
        size = 0
        limited = not (scope["method"] == "POST" and scope["path"] in UPLOADS)

        async def bounded_receive() -> Message:
            nonlocal size
            message = await receive()
            if message["type"] == "http.request":
                size += len(message.get("body", b""))
                if limited and size > SMALL_BODY_BYTES:
                    raise HTTPException(413)  # the framework turns other exceptions here into 400
            return message

        async def dressed_send(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status, sent = message["status"], True
                present = {name.lower() for name, _ in message["headers"]}
                extra = [(name, value) for name, value in HEADERS if name not in present]
                message["headers"] = [*message["headers"], *extra, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, bounded_receive, dressed_send)
        except Exception as error:
            self._log.failure("request.error", error, request_id=request_id)
            if sent:
                raise
            detail = f"An unexpected error; the log names it by request id {request_id}."
            await respond(scope["path"], 500, "internal", detail)(scope, receive, dressed_send)
        finally:
            self._record(scope, status, time.monotonic() - started, size, request_id)

    def _record(self, scope: Scope, status: int, seconds: float, size: int, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in ("GET", "POST", "PUT", "DELETE", "HEAD") else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        state = scope.get("state", {})
        caller = state.get("caller")
        self._log.event(
            "request",
            "debug" if route in ("/healthz", "/readyz", "/metrics") else "info",
            request_id=request_id,
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000),
            bytes=size,
            code=state.get("code"),
            tenant=caller.tenant if caller else None,
            key=caller.key if caller else None,
        )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return secrets.token_hex(8)
