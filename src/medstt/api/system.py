"""Routes of the service itself: health, readiness, metrics, sessions, and the page's files.

Knows nothing of dictations.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from medstt.api import schema
from medstt.api.admit import COOKIE, CallerOf, Door, GuardedRoute, ServiceOf, SettingsOf
from medstt.api.rule import PERMISSIONS, allowed
from medstt.errors import AccessError, MedsttError, NotAuthenticated, NotFoundError
from medstt.store.key import Caller

router = APIRouter(route_class=GuardedRoute)

PAGE = resources.files("medstt.api") / "page"
PAGE_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# What the sign-in form needs; the rest of the page's program is for those who signed in.
OPEN_FILES = ("signin.js", "style.css", "text.js", "icon.svg")


@router.get("/healthz", tags=["system"], response_model=schema.Health)
async def health() -> schema.Health:  # on the event loop: it answers while every thread waits for slow storage
    """Say that the process answers."""
    return schema.Health(status="ok")


@router.get("/readyz", tags=["system"], response_model=schema.Readiness, responses={503: {"model": schema.Readiness}})
def ready(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """Say whether requests can be served: database, storage, model, workers; 503 while draining."""
    parts: dict[str, str] = {"draining": "yes" if request.app.state.draining.is_set() else "ok"}
    checks: dict[str, Callable[[], object]] = {
        "database": service.store.database.check,
        "storage": service.store.objects.check,
        "model": lambda: service.models.resolve(settings.model),
    }
    for name, check in checks.items():
        try:
            check()
            parts[name] = "ok"
        except MedsttError as error:
            parts[name] = error.code
    parts["workers"] = "ok" if service.workers.alive() else "stopped"
    refused = service.models.problems()
    if refused:
        parts["refused_models"] = ", ".join(sorted(refused))
    is_ready = all(value == "ok" for name, value in parts.items() if name != "refused_models")
    body = schema.Readiness(ready=is_ready, parts=parts)
    return JSONResponse(body.model_dump(), 200 if is_ready else 503)


@router.get(
    "/metrics",
    tags=["system"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(caller: CallerOf, service: ServiceOf) -> Response:
    """Return Prometheus metrics."""
    return Response(service.metrics.render(), media_type="text/plain; version=1.0.0; charset=utf-8")


@router.post("/v1/session", tags=["session"], status_code=204)
def sign_in(body: schema.SessionBody, request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """Exchange a key for a browser session's cookie."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise AccessError("another site may not sign in here")
    try:
        token, _ = service.store.keys.sign_in(body.key.strip(), settings.session_hours)
    except NotAuthenticated:
        door: Door = request.app.state.door
        door.failed(request)
        raise
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(settings.session_hours * 3600),
        httponly=True,
        samesite="strict",
        secure=settings.secure_cookies or request.url.scheme == "https",
    )
    return response


@router.delete("/v1/session", tags=["session"], status_code=204)
def sign_out(request: Request, caller: CallerOf, service: ServiceOf) -> Response:
    """End the browser's session."""
    token = request.cookies.get(COOKIE)
    if token is not None:
        service.store.keys.sign_out(token)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE)
    return response


@router.get("/v1/me", tags=["session"], response_model=schema.Me)
def me(caller: CallerOf) -> schema.Me:
    """Say whose key this is and what it may do."""
    return schema.Me(
        key=caller.key,
        tenant=caller.tenant,
        person=caller.person,
        department=caller.department,
        role=caller.role,
        permissions=[permission for permission in PERMISSIONS if allowed(caller, permission)],
    )


def _signed_in(request: Request, service: ServiceOf) -> Caller | None:
    token = request.cookies.get(COOKIE)
    try:
        return None if token is None else service.store.keys.resume(token)
    except NotAuthenticated:
        return None


def _file(name: str) -> Response:
    content = (PAGE / name).read_bytes()
    return Response(content, media_type=PAGE_TYPES[name.rpartition(".")[2]])


@router.get("/", include_in_schema=False)
def index(request: Request, service: ServiceOf) -> Response:
    """Return the page to who signed in, the sign-in form to others."""
    return _file("index.html" if _signed_in(request, service) else "signin.html")


@router.get("/page/{name}", include_in_schema=False)
def page_file(
    name: Annotated[str, Path(pattern=r"^[a-z]+\.(css|js|svg)$")], request: Request, service: ServiceOf
) -> Response:
    """Return a file of the page."""
    if not (PAGE / name).is_file():
        raise NotFoundError("no such file")
    if name not in OPEN_FILES and _signed_in(request, service) is None:
        raise NotAuthenticated("this needs an API key", "Sign in at /.")
    return _file(name)
