"""The application: routes, the door, the envelope, errors and the API's description, from a service and settings.

Knows nothing of sockets or processes.
"""

from __future__ import annotations

import threading
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from medstt.api import admin, dictation, problem, report, schema, system, transcription, vocabulary
from medstt.api.admit import Door
from medstt.api.follow import Followers
from medstt.api.middleware import Envelope
from medstt.api.rule import PUBLIC, RULES
from medstt.errors import MedsttError
from medstt.service import Settings
from medstt.version import __version__
from medstt.work.service import Service

COMMON = (400, 401, 403, 405, 422, 429, 500, 503, 507)
EXTRA: dict[str, tuple[int, ...]] = {
    "{dictation}": (404, 409),
    "/v1/dictations POST": (408, 409, 413, 415),
    "/v1/audio": (404, 408, 413, 415),
    "/v1/models/": (404,),
    "/v1/vocabulary": (404, 409, 412, 413, 428),
    "/v1/keys": (404, 409, 413),
    "/v1/retention": (413,),
    "/v1/session": (413,),
    "corrections": (412, 413, 428),
    "/sign": (412, 428),
    "/reopen": (412, 413, 428),
}


def create_app(service: Service, settings: Settings) -> FastAPI:
    """Return the application; the caller starts and closes the service."""
    app = _make_routes()
    app.state.service, app.state.settings = service, settings
    app.state.door = Door(service, settings)
    app.state.draining = threading.Event()
    app.state.followers = Followers(service.store.dictations.progress)
    service.workers.tell(app.state.followers.wake)
    app.add_middleware(Envelope, metrics=service.metrics, log=service.log)
    depth, loaded = service.store.queue.depth, service.models.loaded
    service.metrics.watch("medstt_dictations", "Dictations by status", "status", depth)
    service.metrics.watch("medstt_model_bytes", "Models in memory by size on disk", "model", loaded)
    return app


def _make_routes() -> FastAPI:
    app = FastAPI(
        title="medstt", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    for module in (system, transcription, dictation, report, vocabulary, admin):
        app.include_router(module.router)
    app.add_exception_handler(MedsttError, problem.medstt_error)
    app.add_exception_handler(RequestValidationError, problem.validation_error)
    app.add_exception_handler(HTTPException, problem.http_error)
    return app


def describe() -> dict[str, Any]:
    """Return the OpenAPI description with every error answer and the key that each operation needs."""
    description = _make_routes().openapi()
    components = description["components"]
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}}
    for model in (schema.Problem, schema.OpenAIError):
        body = model.model_json_schema(ref_template="#/components/schemas/{model}")
        components["schemas"] |= body.pop("$defs", {})
        components["schemas"][model.__name__] = body
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if RULES[(method.upper(), path)] != PUBLIC:
                operation["security"] = [{"key": []}]
                operation["x-permission"] = RULES[(method.upper(), path)]
            for status in _statuses(method.upper(), path):
                operation["responses"].setdefault(str(status), _error_response(path, status))
            operation["responses"]["422"] = _error_response(path, 422)
    components["schemas"].pop("HTTPValidationError", None)
    components["schemas"].pop("ValidationError", None)
    return description


def _statuses(method: str, path: str) -> list[int]:
    found = set(COMMON)
    for part, statuses in EXTRA.items():
        where, _, only = part.partition(" ")
        if (where in path and not only) or (where == path and only == method):
            found |= set(statuses)
    return sorted(found)


def _error_response(path: str, status: int) -> dict[str, Any]:
    openai = path.startswith(problem.OPENAI_PATHS)
    name, media_type = ("OpenAIError", "application/json") if openai else ("Problem", "application/problem+json")
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    return {"description": problem.TITLES[status], "content": content}
