"""Routes of dictations: create, list, follow, hear, retry, delete.

Knows nothing of how dictations are kept or processed.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from medstt.api import schema
from medstt.api.admit import CallerOf, GuardedRoute, ServiceOf, SettingsOf
from medstt.api.etag import etag
from medstt.api.follow import Followers
from medstt.api.upload import Form, FormLimits, Upload, read_form, single
from medstt.errors import InputError, MedsttError, NotFoundError, OptionError
from medstt.store.key import Caller
from medstt.store.objects import ObjectWriter
from medstt.store.record import Dictation, Filter, Progress, Recording
from medstt.store.record import Request as NewDictation
from medstt.work.sandbox import SealedFile
from medstt.work.service import Service

router = APIRouter(prefix="/v1/dictations", tags=["dictations"], route_class=GuardedRoute)

MEDIA_TYPE = re.compile(r"(audio|video)/[A-Za-z0-9.+-]{1,60}")
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,200}")
RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
READ_BYTES = 256 * 1024
SILENCE_S = 16.0  # between signs of life on a stream of events
DRAIN_LOOK_S = 2.0  # how soon a stream notices that the server ends
MULTIPART = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The recording."},
                        **schema.DictationForm.model_json_schema()["properties"],
                    },
                    "additionalProperties": False,
                }
            }
        },
    }
}


@router.post("", status_code=201, openapi_extra=MULTIPART, response_model=schema.DictationView)
async def create(
    request: Request,
    response: Response,
    caller: CallerOf,
    service: ServiceOf,
    settings: SettingsOf,
    idempotency_key: Annotated[
        str | None, Header(description="Repeating a request with the same key creates nothing new.")
    ] = None,
) -> schema.DictationView:
    """Accept a recording; it is on disk when this answers. 200 for a repeated Idempotency-Key."""
    if idempotency_key is not None and not IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise OptionError("the Idempotency-Key must be 1 to 200 printable characters", "Use a UUID.")
    names: list[str] = []

    def open_object() -> ObjectWriter:
        name, writer = service.store.objects.create()
        names.append(name)
        return writer

    upload = Upload(open_object)
    try:
        form = await read_form(request, FormLimits(settings.max_upload_mb << 20, settings.body_s), upload)
        if not form.has_file:
            raise InputError("the form has no field file", "Send the recording as file.")
        asked = _checked(form, caller, idempotency_key)
        dictation, new = await run_in_threadpool(_accept, service, caller, asked, form, upload, names)
    except BaseException:
        upload.abort()
        raise
    if new:
        service.workers.wake()
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/v1/dictations/{dictation.id}"
    response.headers["ETag"] = etag(dictation.version)
    return schema.view(dictation)


def _checked(form: Form, caller: Caller, idempotency_key: str | None) -> NewDictation:
    try:
        fields = schema.DictationForm.model_validate(single(form.fields))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])[:60]
        raise OptionError(f"the field {place!r}: {first['msg']}", "See the API description.") from error
    author = fields.author or caller.person
    return NewDictation(
        author=author,
        department=caller.department,
        idempotency_key=idempotency_key,
        file_name=form.file_name or None,
        **fields.model_dump(exclude={"author"}),
    )


def _accept(
    service: Service, caller: Caller, asked: NewDictation, form: Form, upload: Upload, names: list[str]
) -> tuple[Dictation, bool]:
    """Make the recording durable, look whether it is one, and create its dictation."""
    store = service.store
    writer = upload.commit()
    (name,) = names
    kept = False
    try:
        service.sandbox.probe(SealedFile(store.objects.path(name), store.objects.key(name), "The recording"))
        media_type = form.media_type if MEDIA_TYPE.fullmatch(form.media_type) else "application/octet-stream"
        recording = Recording(name, writer.digest, writer.size_bytes, media_type)
        dictation, kept = store.dictations.create(caller.tenant, caller.key, asked, recording)
        return dictation, kept
    finally:
        if not kept:
            store.objects.delete(name)


@router.get("", response_model=schema.DictationPage)
def list_dictations(
    caller: CallerOf,
    service: ServiceOf,
    status: schema.Status | None = None,
    author: schema.Plain | None = None,
    patient: schema.Plain | None = None,
    specialty: schema.Plain | None = None,
    report_state: schema.ReportState | None = None,
    since_ms: schema.Ms | None = None,
    until_ms: schema.Ms | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> schema.DictationPage:
    """List dictations of the tenant, newest first."""
    which = Filter(status, author, patient, specialty, report_state, since_ms, until_ms)
    page = service.store.dictations.list(caller.tenant, which, limit=limit, cursor=cursor)
    return schema.DictationPage(items=[schema.view(item) for item in page.items], cursor=page.cursor)


@router.get("/{dictation}", response_model=schema.DictationView)
def read(dictation: schema.Id, response: Response, caller: CallerOf, service: ServiceOf) -> schema.DictationView:
    """Return one dictation with its status."""
    found = service.store.dictations.get(caller.tenant, dictation)
    response.headers["ETag"] = etag(found.version)
    return schema.view(found)


@router.delete("/{dictation}", status_code=204)
def erase(dictation: schema.Id, caller: CallerOf, service: ServiceOf) -> Response:
    """Erase recording, texts and keys; a tombstone stays in the audit."""
    service.store.erasures.erase(caller.tenant, dictation, caller.person)
    return Response(status_code=204)


@router.get(
    "/{dictation}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "object"}}}}},
)
async def events(dictation: schema.Id, request: Request, caller: CallerOf, service: ServiceOf) -> StreamingResponse:
    """Follow a dictation by server-sent events named status, until it is ready or failed."""
    found = await run_in_threadpool(service.store.dictations.progress, caller.tenant, [dictation])
    if dictation not in found:
        raise NotFoundError("no such dictation")
    content = _follow(request, caller.tenant, dictation, found[dictation])
    return StreamingResponse(content, media_type="text/event-stream")


async def _follow(request: Request, tenant: str, dictation: str, first: Progress) -> AsyncIterator[str]:
    followers: Followers = request.app.state.followers
    draining: threading.Event = request.app.state.draining
    yield _status_event(first)
    quiet = 0.0
    try:
        async with aclosing(followers.follow(tenant, dictation, first, DRAIN_LOOK_S)) as changes:
            async for found in changes:
                quiet = 0.0 if found else quiet + DRAIN_LOOK_S
                if found:
                    yield _status_event(found)
                elif quiet >= SILENCE_S:
                    yield ": still there\n\n"  # keeps proxies from closing the connection
                    quiet = 0.0
                if draining.is_set():
                    return
    except MedsttError as error:
        yield f"event: end\ndata: {json.dumps({'code': error.code})}\n\n"


def _status_event(found: Progress) -> str:
    return f"event: status\ndata: {json.dumps(asdict(found))}\n\n"


@router.get(
    "/{dictation}/audio",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
        206: {
            "description": "Part of the recording",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        },
        416: {"description": "Range not satisfiable"},
    },
)
def audio(
    dictation: schema.Id,
    caller: CallerOf,
    service: ServiceOf,
    range_header: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """Return the recording as it was uploaded, or a byte range of it."""
    found = service.store.dictations.get(caller.tenant, dictation)
    headers = {"Accept-Ranges": "bytes", "Content-Disposition": f'inline; filename="{found.id}"'}
    span = _parse_range(range_header, found.size_bytes)
    if span is None:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{found.size_bytes}"})
    start, end = span
    if start == 0:
        service.store.dictations.seen(found, caller.person, "dictation.audio_read")
    partial = end - start < found.size_bytes
    headers["Content-Length"] = str(end - start)
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size_bytes}"
    content = _read_audio(service, found, start, end)
    return StreamingResponse(content, 206 if partial else 200, headers, media_type=found.media_type)


def _parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return start and end of one byte range; everything for headers to be ignored; None if it lies outside."""
    match = RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) else None
    start, end = int(first), min(size, int(last) + 1) if last else size
    return (start, end) if start < end else None


def _read_audio(service: Service, dictation: Dictation, start: int, end: int) -> Iterator[bytes]:
    with service.store.objects.open(dictation.audio_object or "") as reader:
        reader.seek(start)
        while start < end and (data := reader.read(min(READ_BYTES, end - start))):
            start += len(data)
            yield data


@router.post("/{dictation}/retry", response_model=schema.DictationView)
def retry(dictation: schema.Id, caller: CallerOf, service: ServiceOf) -> schema.DictationView:
    """Queue a failed dictation again."""
    service.store.queue.retry(caller.tenant, dictation, caller.person)
    service.workers.wake()
    return schema.view(service.store.dictations.get(caller.tenant, dictation))
