"""Routes of what a dictation became: transcript, document, corrections, signature, export.

Knows nothing of how dictations are kept or processed.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from rapidfuzz.distance import Levenshtein

from medstt.api import schema
from medstt.api.admit import CallerOf, GuardedRoute, ServiceOf
from medstt.api.etag import IfMatch, etag, version_of
from medstt.errors import OptionError
from medstt.export.clinical import EXPORTS, ReportFacts, export
from medstt.values import Transcript
from medstt.work.content import decode_document, decode_transcript
from medstt.work.remap import remap

router = APIRouter(prefix="/v1/dictations", tags=["dictations"], route_class=GuardedRoute)


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
def transcript(dictation: schema.Id, caller: CallerOf, service: ServiceOf) -> schema.TranscriptView:
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
def document(dictation: schema.Id, response: Response, caller: CallerOf, service: ServiceOf) -> schema.DocumentView:
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
def corrections(dictation: schema.Id, caller: CallerOf, service: ServiceOf) -> list[schema.CorrectionView]:
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
    dictation: schema.Id,
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
    dictation: schema.Id, response: Response, caller: CallerOf, service: ServiceOf, if_match: IfMatch = None
) -> schema.DictationView:
    """Make the report final (amended when it was signed before), in the version named by If-Match."""
    found = service.store.dictations.get(caller.tenant, dictation)
    signed = service.store.dictations.sign(found, version_of(if_match, found.version), caller.person)
    response.headers["ETag"] = etag(signed.version)
    return schema.view(signed)


@router.post("/{dictation}/reopen", response_model=schema.DictationView)
def reopen(
    dictation: schema.Id,
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


EXPORT_CONTENT = {kind.media_type: {"schema": {"type": "string", "format": "binary"}} for kind in EXPORTS.values()}
EXPORT_CONTENT["application/json"] = {"schema": {}}
EXPORT_CONTENT["application/fhir+json"] = {"schema": {"type": "object"}}
for _text_type in ("text/plain", "text/vtt", "application/x-subrip"):
    EXPORT_CONTENT[_text_type] = {"schema": {"type": "string"}}


@router.get("/{dictation}/export", response_class=Response, responses={200: {"content": EXPORT_CONTENT}})
def export_dictation(
    dictation: schema.Id,
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
