"""Routes of dictations: create, list, follow, read, correct, sign, reopen, export, delete.

Knows nothing of how dictations are kept or processed.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from rapidfuzz.distance import Levenshtein
from starlette.concurrency import run_in_threadpool

from medstt.api import schema
from medstt.api.admit import CallerOf, GuardedRoute, ServiceOf, SettingsOf
from medstt.api.problem import MissingPrecondition
from medstt.api.upload import Form, FormLimits, read_form, single
from medstt.errors import InputError, MedsttError, OptionError
from medstt.export.clinical import EXPORTS, ReportFacts, export
from medstt.store.dictation import Dictation, Filter, Recording
from medstt.store.dictation import Request as NewDictation
from medstt.store.key import Caller
from medstt.store.objects import ObjectWriter
from medstt.values import Transcript
from medstt.work.content import decode_document, decode_transcript
from medstt.work.remap import remap
from medstt.work.sandbox import SealedFile
from medstt.work.service import Service

router = APIRouter(prefix="/v1/dictations", tags=["dictations"], route_class=GuardedRoute)

Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
IfMatch = Annotated[str | None, Header(alias="If-Match", description='The version the change is made on: "3".')]
MEDIA_TYPE = re.compile(r"(audio|video)/[A-Za-z0-9.+-]{1,60}")
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,200}")
RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
READ_BYTES = 256 * 1024
POLL_S = 0.4
FOLLOW_S = 3600
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


def etag(version: int) -> str:
    """Return a version as an entity tag."""
    return f'"{version}"'


def version_of(if_match: str | None, current: int) -> int:
    """Return the version a caller names; raises MissingPrecondition, OptionError."""
    if if_match is None:
        raise MissingPrecondition("the header If-Match is missing", "Send the ETag of what you changed.")
    if if_match.strip() == "*":
        return current
    match = re.fullmatch(r'(?:W/)?"(\d{1,9})"', if_match.strip())
    if match is None:
        raise OptionError("If-Match is not one of our entity tags", 'Send it as it was given: "3".')
    return int(match[1])


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
    opened: list[tuple[str, ObjectWriter]] = []

    def sink() -> ObjectWriter:
        opened.append(service.store.objects.create())
        return opened[0][1]

    try:
        form = await read_form(request, FormLimits(settings.max_upload_mb << 20, settings.body_s), sink)
        if not opened:
            raise InputError("the form has no field file", "Send the recording as file.")
        asked = _checked(form, caller, idempotency_key)
        dictation, new = await run_in_threadpool(_accept, service, caller, asked, form, *opened[0])
    except BaseException:
        for _, writer in opened:
            writer.abort()
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
    service: Service, caller: Caller, asked: NewDictation, form: Form, name: str, writer: ObjectWriter
) -> tuple[Dictation, bool]:
    """Make the recording durable, look whether it is one, and create its dictation."""
    store = service.store
    writer.commit()
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
def read(dictation: Id, response: Response, caller: CallerOf, service: ServiceOf) -> schema.DictationView:
    """Return one dictation with its status."""
    found = service.store.dictations.get(caller.tenant, dictation)
    response.headers["ETag"] = etag(found.version)
    return schema.view(found)


@router.delete("/{dictation}", status_code=204)
def erase(dictation: Id, caller: CallerOf, service: ServiceOf) -> Response:
    """Erase recording, texts and keys; a tombstone stays in the audit."""
    service.store.dictations.erase(caller.tenant, dictation, caller.person)
    return Response(status_code=204)


@router.get(
    "/{dictation}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "object"}}}}},
)
async def events(dictation: Id, request: Request, caller: CallerOf, service: ServiceOf) -> StreamingResponse:
    """Follow a dictation by server-sent events named status, until it is ready or failed."""
    await run_in_threadpool(service.store.dictations.get, caller.tenant, dictation)
    draining: threading.Event = request.app.state.draining
    return StreamingResponse(_follow(service, caller.tenant, dictation, draining), media_type="text/event-stream")


async def _follow(service: Service, tenant: str, dictation: str, draining: threading.Event) -> AsyncIterator[str]:
    last = ""
    for turn in range(int(FOLLOW_S / POLL_S)):
        try:
            found = await run_in_threadpool(service.store.dictations.get, tenant, dictation)
        except MedsttError as error:
            yield f"event: end\ndata: {json.dumps({'code': error.code})}\n\n"
            return
        state = {
            "status": found.status,
            "progress_ms": found.progress_ms,
            "duration_ms": found.duration_ms,
            "attempts": found.attempts,
            "version": found.version,
            "reason": found.reason,
        }
        text = json.dumps(state)
        if text != last:
            last = text
            yield f"event: status\ndata: {text}\n\n"
        elif turn % 40 == 39:
            yield ": still there\n\n"  # keeps proxies from closing the connection
        if found.status in ("ready", "failed") or draining.is_set():
            return
        await asyncio.sleep(POLL_S)


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
    dictation: Id,
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


def _words(transcript: Transcript) -> list[schema.WordView]:
    return [
        schema.WordView(
            text=word.text,
            start_ms=word.segment.start_ms,
            end_ms=word.segment.end_ms,
            confidence=round(word.confidence, 4),
        )
        for word in transcript.words
    ]


@router.get("/{dictation}/transcript", response_model=schema.TranscriptView)
def transcript(dictation: Id, caller: CallerOf, service: ServiceOf) -> schema.TranscriptView:
    """Return the verbatim words with times and confidences."""
    store = service.store.dictations
    found = store.get(caller.tenant, dictation)
    heard = decode_transcript(store.transcript(found))
    store.seen(found, caller.person, "dictation.read", {"what": "transcript"})
    return schema.TranscriptView(
        text=heard.text,
        language=heard.language,
        duration_ms=heard.duration_ms,
        model={"name": heard.model.name, "digest": heard.model.digest},
        settings_digest=heard.settings_digest,
        audio_digest=heard.audio_digest,
        words=_words(heard),
        segments=[
            schema.SegmentView(
                start_ms=one.segment.start_ms,
                end_ms=one.segment.end_ms,
                text=one.text,
                language=one.language,
                logprob=round(one.logprob, 4),
                no_speech=round(one.no_speech, 4),
            )
            for one in heard.hypotheses
        ],
        warnings=list(heard.warnings),
    )


@router.get("/{dictation}/document", response_model=schema.DocumentView)
def document(dictation: Id, response: Response, caller: CallerOf, service: ServiceOf) -> schema.DocumentView:
    """Return the report as it reads now, with flags, and spans that lead to the words heard."""
    store = service.store.dictations
    found = store.get(caller.tenant, dictation)
    written = decode_document(store.document(found))
    heard = decode_transcript(store.transcript(found))
    history = store.corrections(found)
    if history:
        written = remap(written, history[-1].text)
    store.seen(found, caller.person, "dictation.read", {"what": "document"})
    response.headers["ETag"] = etag(found.version)
    return schema.DocumentView(
        text=written.text,
        language=written.language,
        version=found.version,
        report_state=found.report_state,
        corrections=len(history),
        spans=[
            schema.SpanView(start=one.start, end=one.end, words=list(one.words), rule=one.rule, origin=one.origin)
            for one in written.spans
        ],
        flags=[
            schema.FlagView(start=one.start, end=one.end, reason=one.reason, message=one.message, severity=one.severity)
            for one in written.flags
        ],
        sections=[
            schema.SectionView(key=one.key, title=one.title, start=one.start, end=one.end) for one in written.sections
        ],
        words=_words(heard),
        warnings=list(heard.warnings),
    )


@router.get("/{dictation}/corrections", response_model=list[schema.CorrectionView])
def corrections(dictation: Id, caller: CallerOf, service: ServiceOf) -> list[schema.CorrectionView]:
    """Return every correction, oldest first."""
    store = service.store.dictations
    found = store.get(caller.tenant, dictation)
    history = store.corrections(found)
    store.seen(found, caller.person, "dictation.read", {"what": "corrections"})
    names = schema.CorrectionView.model_fields
    return [schema.CorrectionView(**{name: _plain(getattr(one, name)) for name in names}) for one in history]


def _plain(value: Any) -> Any:
    return [dict(edit) for edit in value] if isinstance(value, tuple) else value


@router.post("/{dictation}/corrections", status_code=201, response_model=schema.DictationView)
def correct(
    dictation: Id,
    body: schema.CorrectionBody,
    response: Response,
    caller: CallerOf,
    service: ServiceOf,
    if_match: IfMatch = None,
) -> schema.DictationView:
    """Append a correction made on the version named by If-Match; 412 if another came first."""
    store = service.store.dictations
    found = store.get(caller.tenant, dictation)
    version = version_of(if_match, found.version)
    current = store.current_text(found)
    text, edits = _corrected(current, body)
    distance = Levenshtein.distance(current, text)
    changed = store.correct(found, version, caller.person, text, edits, distance)
    response.headers["ETag"] = etag(changed.version)
    return schema.view(changed)


def _corrected(current: str, body: schema.CorrectionBody) -> tuple[str, list[dict[str, object]]]:
    """Return the new text and the edits that lead to it; raises OptionError."""
    if (body.text is None) == (body.edits is None):
        raise OptionError("a correction is either text or edits", "Send one of the two.")
    if body.text is not None:
        steps = Levenshtein.opcodes(current, body.text)
        return body.text, [
            {"start": step.src_start, "end": step.src_end, "text": body.text[step.dest_start : step.dest_end]}
            for step in steps
            if step.tag != "equal"
        ]
    pieces, position = [], 0
    edits = sorted(body.edits or [], key=lambda edit: (edit.start, edit.end))
    for edit in edits:
        if not position <= edit.start <= edit.end <= len(current):
            raise OptionError("edits overlap or lie outside the text", "Give offsets into the current text.")
        pieces += [current[position : edit.start], edit.text]
        position = edit.end
    text = "".join([*pieces, current[position:]])
    return text, [edit.model_dump() for edit in edits]


@router.post("/{dictation}/sign", response_model=schema.DictationView)
def sign(
    dictation: Id, response: Response, caller: CallerOf, service: ServiceOf, if_match: IfMatch = None
) -> schema.DictationView:
    """Make the report final (amended when it was signed before), in the version named by If-Match."""
    found = service.store.dictations.get(caller.tenant, dictation)
    signed = service.store.dictations.sign(found, version_of(if_match, found.version), caller.person)
    response.headers["ETag"] = etag(signed.version)
    return schema.view(signed)


@router.post("/{dictation}/reopen", response_model=schema.DictationView)
def reopen(
    dictation: Id,
    body: schema.ReopenBody,
    response: Response,
    caller: CallerOf,
    service: ServiceOf,
    if_match: IfMatch = None,
) -> schema.DictationView:
    """Open a signed report again, with a reason."""
    found = service.store.dictations.get(caller.tenant, dictation)
    opened = service.store.dictations.reopen(found, version_of(if_match, found.version), caller.person, body.reason)
    response.headers["ETag"] = etag(opened.version)
    return schema.view(opened)


@router.post("/{dictation}/retry", response_model=schema.DictationView)
def retry(dictation: Id, caller: CallerOf, service: ServiceOf) -> schema.DictationView:
    """Queue a failed dictation again."""
    service.store.queue.retry(caller.tenant, dictation, caller.person)
    service.workers.wake()
    return schema.view(service.store.dictations.get(caller.tenant, dictation))


EXPORT_CONTENT = {kind.media_type: {"schema": {"type": "string", "format": "binary"}} for kind in EXPORTS.values()}
EXPORT_CONTENT["application/json"] = {"schema": {}}
EXPORT_CONTENT["application/fhir+json"] = {"schema": {"type": "object"}}
for _text_type in ("text/plain", "text/vtt", "application/x-subrip"):
    EXPORT_CONTENT[_text_type] = {"schema": {"type": "string"}}


@router.get("/{dictation}/export", response_class=Response, responses={200: {"content": EXPORT_CONTENT}})
def export_dictation(
    dictation: Id,
    caller: CallerOf,
    service: ServiceOf,
    format: Annotated[str, Query(json_schema_extra={"enum": list(EXPORTS)})],
) -> Response:
    """Return the report as a file of some format."""
    if format not in EXPORTS:
        raise OptionError(f"unknown format {format[:40]!r}", f"Use one of {', '.join(EXPORTS)}.")
    store = service.store.dictations
    found = store.get(caller.tenant, dictation)
    written = decode_document(store.document(found))
    heard = decode_transcript(store.transcript(found))
    history = store.corrections(found)
    if history:
        written = remap(written, history[-1].text)
    kind = EXPORTS[format]
    facts = ReportFacts(
        id=found.id,
        author=found.author,
        department=found.department,
        specialty=found.specialty,
        patient=found.patient,
        encounter=found.encounter,
        created_ms=found.created_ms,
        ready_ms=found.ready_ms or found.updated_ms,
        state=found.report_state,
        version=found.version,
        signed_by=found.signed_by,
        signed_ms=found.signed_ms,
        audio_digest=found.audio_digest,
        correctors=tuple((one.author, one.at_ms) for one in history),
    )
    content = export(format, facts, heard, written)
    store.seen(found, caller.person, "dictation.exported", {"format": format, "version": found.version})
    headers = {"Content-Disposition": f'attachment; filename="{found.id}.{kind.suffix}"', "ETag": etag(found.version)}
    return Response(content, media_type=kind.media_type, headers=headers)
