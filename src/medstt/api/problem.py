"""Errors as HTTP: one table from the exception tree to status codes, in OpenAI's shape or as problem+json (RFC 9457).

Knows nothing of routes.
"""

from __future__ import annotations

import math
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from medstt import errors
from medstt.errors import InputError, MedsttError
from medstt.work.apart import ModelDied

OPENAI_PATHS = ("/v1/audio/", "/v1/models")


class MissingPrecondition(InputError):
    """A change needs to name the version it was made on."""

    code = "if_match_required"


class TooSlow(InputError):
    """The request's body did not arrive in time."""

    code = "too_slow"


class UnsupportedForm(InputError):
    """The body is not of the media type that the route takes."""

    code = "unsupported_media_type"


# The first class that fits decides, so subclasses stand before their parents.
STATUS: tuple[tuple[type[MedsttError], int], ...] = (
    (errors.UnsupportedAudio, 415),
    (UnsupportedForm, 415),
    (errors.AudioError, 422),
    (errors.TooLarge, 413),
    (MissingPrecondition, 428),
    (TooSlow, 408),
    (errors.DataError, 500),  # what is stored is damaged: not the caller's fault
    (errors.VocabError, 422),
    (errors.OptionError, 422),
    (errors.InputError, 400),
    (errors.UnknownModel, 404),
    (errors.ModelError, 503),
    (errors.StaleError, 412),
    (errors.ConflictError, 409),
    (errors.NotFoundError, 404),
    (errors.NotAuthenticated, 401),
    (errors.AccessError, 403),
    (errors.TooManyRequests, 429),
    (errors.StoreUnavailable, 503),
    (errors.ResourceError, 507),
    (errors.NotPromotable, 409),
    (ModelDied, 503),
)
TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Request too slow",
    409: "Conflict",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    422: "Cannot be processed",
    428: "Precondition required",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available",
    507: "Out of resources",
}


def status_of(error: MedsttError) -> int:
    """Return the HTTP status of an error of the tree."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def respond(path: str, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error in the shape its path speaks; ``detail`` names reason and remedy."""
    detail = detail.encode("utf-8", "replace").decode()  # it may name a field whose name is no valid text
    if path.startswith(OPENAI_PATHS):
        kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
        body: dict[str, Any] = {"error": {"message": detail, "type": kind, "param": None, "code": code}}
        return JSONResponse(body, status, headers)
    body = {"type": f"urn:medstt:error:{code}", "title": TITLES.get(status, "Error"), "status": status}
    body |= {"detail": detail, "code": code}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


async def medstt_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of the tree."""
    assert isinstance(error, MedsttError)
    status = status_of(error)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        headers["Retry-After"] = str(math.ceil(getattr(error, "wait_s", 1.0)))
    request.state.code = error.code
    return respond(request.url.path, status, error.code, str(error), headers)


async def validation_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that does not fit its description; names the field, never repeats its value."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    request.state.code = "invalid_request"
    return respond(request.url.path, 422, "invalid_request", f"{place}: {first['msg']}.")


async def http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework refuses: unknown paths, wrong methods."""
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
    code = codes.get(error.status_code, "bad_request")
    request.state.code = code
    headers = dict(error.headers) if error.headers else None
    return respond(request.url.path, error.status_code, code, f"{TITLES.get(error.status_code, 'Error')}.", headers)
