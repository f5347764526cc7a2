"""The door: recognises the caller, applies rate limits and the route's rule before anything of a request is read.

Knows nothing of what routes do.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from medstt.api.limit import RateLimit
from medstt.api.rule import PUBLIC, RULES, require
from medstt.errors import AccessError, NotAuthenticated, TooManyRequests
from medstt.service import Settings
from medstt.store.key import Caller
from medstt.work.service import Service

COOKIE = "medstt_session"
PAGE_HEADER = "x-medstt-page"  # a form on another site cannot send it, so a cookie alone changes nothing
SAFE = ("GET", "HEAD", "OPTIONS")


class Door:
    """Rate limits and recognition for one application."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self._keys = service.store.keys
        self._requests = RateLimit(settings.requests_per_minute)
        self._failures = RateLimit(settings.failures_per_minute)

    def recognise(self, request: Request) -> Caller:
        """Return the caller by Authorization header or the page's cookie; raises NotAuthenticated, TooManyRequests."""
        address = request.client.host if request.client else "local"
        try:
            caller = self._find(request)
        except NotAuthenticated:
            self.limit(self._failures, address, "too many wrong keys from this address")
            raise
        self.limit(self._requests, caller.key, "over the rate limit of this key")
        return caller

    def failed(self, request: Request) -> None:
        """Count a wrong key that came another way than by header or cookie."""
        self.limit(self._failures, request.client.host if request.client else "local", "too many wrong keys")

    @staticmethod
    def limit(bucket: RateLimit, name: str, what: str) -> None:
        """Raise TooManyRequests when a bucket is empty."""
        wait_s = bucket.wait_s(name)
        if wait_s:
            error = TooManyRequests(what, f"Retry in {wait_s:.0f} seconds or more.")
            error.wait_s = max(1.0, wait_s)  # type: ignore[attr-defined]
            raise error

    def _find(self, request: Request) -> Caller:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme:
            if scheme.lower() != "bearer":
                raise NotAuthenticated("the Authorization header is not of type Bearer", "Send: Bearer <API key>.")
            return self._keys.authenticate(key.strip())
        token = request.cookies.get(COOKIE)
        if token is None:
            raise NotAuthenticated("this needs an API key", "Send it as: Authorization: Bearer <API key>.")
        if request.method not in SAFE and PAGE_HEADER not in request.headers:
            raise NotAuthenticated("a cookie alone cannot change anything", f"Send the header {PAGE_HEADER}.")
        return self._keys.resume(token)


class GuardedRoute(APIRoute):
    """A route that asks the door first; one without a rule is closed to everybody."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler behind the door."""
        handle = super().get_route_handler()
        path = self.path_format

        async def guarded(request: Request) -> Response:
            rule = RULES.get((request.method, path))
            if rule is None:
                raise AccessError("this route has no rule, so it is closed")
            if rule != PUBLIC:
                door: Door = request.app.state.door
                caller = await run_in_threadpool(door.recognise, request)
                request.state.caller = caller
                require(caller, rule)
            return await handle(request)

        return guarded


def get_caller(request: Request) -> Caller:
    """Return whom the door recognised."""
    caller: Caller = request.state.caller
    return caller


def get_service(request: Request) -> Service:
    """Return the application's service."""
    service: Service = request.app.state.service
    return service


def get_settings(request: Request) -> Settings:
    """Return the application's settings."""
    settings: Settings = request.app.state.settings
    return settings


CallerOf = Annotated[Caller, Depends(get_caller)]
ServiceOf = Annotated[Service, Depends(get_service)]
SettingsOf = Annotated[Settings, Depends(get_settings)]
