"""The process that serves: sockets, signals, draining, and a deadline for request headers.

Knows nothing of routes.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from medstt.service import Settings
from medstt.work.service import Service

HEADER_BYTES = 16 * 1024


def _protocol(header_s: float) -> type[H11Protocol]:
    class DeadlineProtocol(H11Protocol):
        """Closes a connection whose request headers do not arrive in time (slow loris)."""

        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._arm()

        def data_received(self, data: bytes) -> None:
            seen = self.cycle
            super().data_received(data)
            if self.cycle is not seen or self._busy():
                self._disarm()
            elif self._deadline is None and (self.cycle is None or self.cycle.response_complete):
                self._arm()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def _busy(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _arm(self) -> None:
            self._deadline = self.loop.call_later(header_s, self._expire)

        def _disarm(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _expire(self) -> None:
            self._deadline = None
            if not self.transport.is_closing():
                self.transport.close()

    return DeadlineProtocol


class Server(uvicorn.Server):
    """Says where it listens once it does, and that it drains before it stops."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, service: Service, host: str) -> None:
        super().__init__(config)
        self._application, self._service, self._host = app, service, host
        self.port: int | None = None

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Open the sockets and log the port."""
        await super().startup(sockets)
        if self.started:
            self.port = self.servers[0].sockets[0].getsockname()[1]
            self._service.log.event("listening", host=self._host, port=self.port)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Call the process not ready and drain; a second signal ends at once.

        Uvicorn's own would raise the signal again after draining, and end the process before its workers are done.
        """
        self._application.state.draining.set()
        self.force_exit = self.should_exit
        self.should_exit = True


def make_server(app: FastAPI, service: Service, settings: Settings) -> Server:
    """Return the server; ``run`` serves until a signal, then lets requests finish and returns."""
    logging = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging["loggers"][name] = {"handlers": [], "level": "CRITICAL", "propagate": False}
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=_protocol(settings.header_s),
        ws="none",
        lifespan="off",
        log_config=logging,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.connections,
        timeout_graceful_shutdown=int(settings.drain_s),
        h11_max_incomplete_event_size=HEADER_BYTES,
    )
    return Server(config, app, service, settings.host)
