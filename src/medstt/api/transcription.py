"""OpenAI's transcription API: one request, one recording, nothing stored; and the list of models.

Knows nothing of dictations.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from medstt.api import schema
from medstt.api.admit import CallerOf, GuardedRoute, ServiceOf, SettingsOf
from medstt.api.upload import FormLimits, Upload, read_form, single
from medstt.errors import InputError, MedsttError, OptionError, UnknownModel
from medstt.export import render
from medstt.registry import ModelStore, built_in_models
from medstt.service import Settings
from medstt.store.key import Caller
from medstt.store.objects import ObjectWriter
from medstt.values import Hypothesis, Transcript
from medstt.vocab.listed import parse_keywords
from medstt.work.process import Style
from medstt.work.sandbox import SealedFile
from medstt.work.service import Service

router = APIRouter(prefix="/v1", tags=["openai"], route_class=GuardedRoute)

OPENAI_MODELS = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe")  # answered by the model in service
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}([@:][A-Za-z0-9._-]{1,100})?")
LANGUAGE_NAMES = {"en": "english", "de": "german"}
LIST_FIELDS = frozenset({"timestamp_granularities", "include"})
MEDIA_TYPES = {
    "text": "text/plain; charset=utf-8",
    "srt": "text/plain; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


class TranscriptionForm(BaseModel):
    """The fields beside the recording; OpenAI's first, then ours."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(max_length=200, description="A registered model; OpenAI's names mean the one in service.")
    language: str | None = Field(None, max_length=35, description="en or de; detected if left out.")
    prompt: str | None = Field(None, max_length=20_000, description="Keywords to listen for, with commas.")
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    temperature: float = Field(0, ge=0, le=1, description="Accepted; decoding is deterministic.")
    timestamp_granularities: list[Literal["word", "segment"]] = Field(
        default_factory=list, description="For verbose_json."
    )
    stream: bool = Field(False, description="Answer by server-sent events.")
    vocabulary: schema.Plain | None = Field(None, description="Department whose word lists apply.")
    template: str | None = Field(None, max_length=200, description="Template of the report.")
    format: Literal["report", "verbatim"] | None = Field(
        None, description="report: spoken commands and numbers are written (default); verbatim: as heard."
    )


_PROPERTIES = TranscriptionForm.model_json_schema()["properties"]
_PROPERTIES["timestamp_granularities[]"] = _PROPERTIES.pop("timestamp_granularities")
MULTIPART: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "model"],
                    "properties": {"file": {"type": "string", "format": "binary"}, **_PROPERTIES},
                }
            }
        },
    }
}
CONTENT = {
    "application/json": {
        "schema": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
    },
    "text/plain": {"schema": {"type": "string"}},
    "text/vtt": {"schema": {"type": "string"}},
    "text/event-stream": {"schema": {"type": "object"}},
}


@dataclass(frozen=True, slots=True)
class _Asked:
    form: TranscriptionForm
    model: str
    language: str
    style: Style
    warnings: tuple[str, ...]
    words: tuple[str, ...] = ()

    @property
    def verbatim(self) -> bool:
        return self.form.format == "verbatim" or (self.form.format is None and self.form.stream)


@router.post(
    "/audio/transcriptions",
    openapi_extra=MULTIPART,
    response_class=Response,
    responses={200: {"content": CONTENT}},
)
async def create_transcription(
    request: Request, caller: CallerOf, service: ServiceOf, settings: SettingsOf
) -> Response:
    """Transcribe a recording; it is held encrypted under a key that is never stored, and removed at the end."""
    spooled: list[SealedFile] = []

    def open_spool() -> ObjectWriter:
        path, key, writer = service.store.objects.spool()
        spooled.append(SealedFile(path, key, "The recording"))
        return writer

    upload = Upload(open_spool)

    def commit() -> SealedFile:
        upload.commit()
        return spooled[0]

    def forget() -> None:
        upload.abort()
        for file in spooled:
            file.path.unlink(missing_ok=True)

    def answer(asked: _Asked) -> Response:
        try:
            return _answer(service, asked, commit())
        finally:
            forget()

    try:
        form = await read_form(request, FormLimits(settings.max_upload_mb << 20, settings.body_s), upload)
        if not form.has_file:
            raise InputError("the form has no field file", "Send the recording as file.")
        asked = _checked(form.fields, caller, settings)
        if not asked.form.stream:
            return await run_in_threadpool(answer, asked)  # one hop to a thread, where most requests are short
        events = _Events(service, asked, await run_in_threadpool(commit))
        await run_in_threadpool(events.prepare)
    except BaseException:
        forget()
        raise
    content = events.run(forget)
    return StreamingResponse(content, media_type="text/event-stream", background=BackgroundTask(forget))


def _checked(fields: dict[str, list[str]], caller: Caller, settings: Settings) -> _Asked:
    try:
        form = TranscriptionForm.model_validate(single(fields, LIST_FIELDS))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])[:60]
        raise OptionError(f"the field {place!r}: {first['msg']}", "See the API description.") from error
    warnings = [f"the field {name[:40]!r} is unknown and has no effect" for name in form.model_extra or {}]
    words, sentences = parse_keywords(form.prompt or "")
    if sentences:
        warnings.append("prompt: what is no keyword has no effect; write terms with commas between them")
    if form.temperature:
        warnings.append("temperature has no effect: decoding is deterministic")
    if form.timestamp_granularities and form.response_format != "verbose_json":
        warnings.append("timestamp_granularities has no effect without response_format=verbose_json")
    if form.stream and form.response_format not in ("json", "verbose_json"):
        warnings.append(f"response_format {form.response_format} has no effect on a stream")
    if form.stream and form.format == "report":
        warnings.append("while streaming, deltas are verbatim; the text at the end is the report")
    name = form.model
    if name in OPENAI_MODELS:
        warnings.append(f"model {name} is answered by {settings.model}")
        name = settings.model
    elif name != settings.model:
        _known_model(name, settings)
    language = (form.language or "auto").lower().partition("-")[0]
    if language not in ("auto", "en", "de"):
        raise OptionError(f"the language {language[:20]!r} is not known", "Use en, de, or leave it out.")
    if form.template and (form.format == "verbatim" or (form.stream and form.format is None)):
        warnings.append("template has no effect on verbatim text")
    style = Style(caller.tenant, form.vocabulary or caller.department, caller.person, None, form.template)
    return _Asked(form, name, language, style, tuple(warnings), tuple(words))


def _known_model(name: str, settings: Settings) -> None:
    """Raise UnknownModel for anything but a registered name: a request never names a folder or a download."""
    base = re.split("[@:]", name)[0]
    if not MODEL_NAME.fullmatch(name) or base not in _model_names(settings):
        raise UnknownModel(f"there is no model {name[:60]!r} here", "GET /v1/models lists those that can be named.")


def _model_names(settings: Settings) -> list[str]:
    names = {*ModelStore(settings.home / "models").names(), *built_in_models()}
    return sorted(names | {settings.model})


def _text(service: Service, asked: _Asked, heard: Transcript) -> tuple[str, Any]:
    """Return the text to answer with and the document behind it, if it was formatted."""
    if asked.verbatim:
        return heard.text, None
    document = service.write(heard, asked.style).document
    return document.text, document


def _hear(service: Service, asked: _Asked, file: SealedFile, heard: Callable[[Hypothesis, int], None]) -> Transcript:
    audio = service.sandbox.decode(file)
    with service.models.lease(asked.model) as model:
        spoken = None if asked.language == "auto" else asked.language
        wanted = service.listen(model.capabilities, replace(asked.style, language=spoken), asked.words)
        transcript = model.transcribe(audio, wanted, heard)
    service.metrics.audio_seconds.labels("transcriptions").inc(transcript.duration_ms / 1000)
    return transcript


def _answer(service: Service, asked: _Asked, file: SealedFile) -> Response:
    heard = _hear(service, asked, file, lambda hypothesis, done_ms: None)
    text, document = _text(service, asked, heard)
    warnings = [*asked.warnings, *heard.warnings]
    kind = asked.form.response_format
    if kind in ("json", "verbose_json"):
        body: dict[str, Any] = {"text": text}
        if kind == "verbose_json":
            body = {**_verbose(heard, asked.form.timestamp_granularities), "text": text}
            body["flags"] = [] if document is None else schema_flags(document)
        return JSONResponse({**body, "warnings": warnings})
    content = text.encode() if kind == "text" else render(kind, heard, None)
    headers = {"X-Medstt-Warnings": json.dumps(warnings)} if warnings else None
    return Response(content, media_type=MEDIA_TYPES[kind], headers=headers)


def schema_flags(document: Any) -> list[dict[str, Any]]:
    """Return a document's flags as JSON values."""
    names = schema.FlagView.model_fields
    return [{name: getattr(flag, name) for name in names} for flag in document.flags]


def _verbose(heard: Transcript, granularities: Sequence[str]) -> dict[str, Any]:
    """Return OpenAI's verbose form: seconds, measured values only, what the engine does not know is left out."""
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": LANGUAGE_NAMES.get(heard.language, heard.language),
        "duration": heard.duration_ms / 1000,
        "model": heard.model.name,
    }
    if not granularities or "segment" in granularities:
        body["segments"] = [_segment(number, one) for number, one in enumerate(heard.hypotheses)]
    if "word" in granularities:
        body["words"] = [
            {
                "word": word.text,
                "start": word.segment.start_ms / 1000,
                "end": word.segment.end_ms / 1000,
                "confidence": round(word.confidence, 4),
            }
            for word in heard.words
        ]
    return body


def _segment(number: int, one: Hypothesis) -> dict[str, Any]:
    raw = one.text.encode()
    return {
        "id": number,
        "start": one.segment.start_ms / 1000,
        "end": one.segment.end_ms / 1000,
        "text": one.text,
        "temperature": 0.0,
        "avg_logprob": round(one.logprob, 4),
        "no_speech_prob": round(one.no_speech, 4),
        "compression_ratio": round(len(raw) / len(zlib.compress(raw)), 3) if raw else 0.0,
    }


class _Events:
    """A streamed answer: a delta for each phrase as soon as it is heard, then the whole text."""

    def __init__(self, service: Service, asked: _Asked, file: SealedFile) -> None:
        self._service, self._asked, self._file = service, asked, file

    def prepare(self) -> None:
        """Refuse a bad recording or model before the answer begins, while a status can still say so."""
        self._service.sandbox.probe(self._file)
        self._service.models.resolve(self._asked.model)

    def run(self, forget: Callable[[], None]) -> Iterator[str]:
        """Yield server-sent events; an error after the start is an event of its own."""
        from queue import SimpleQueue
        from threading import Thread

        phrases: SimpleQueue[Hypothesis | Transcript | BaseException] = SimpleQueue()
        gone = False

        def heard(hypothesis: Hypothesis, done_ms: int) -> None:
            if gone:
                raise _Gone
            phrases.put(hypothesis)

        def work() -> None:
            try:
                phrases.put(_hear(self._service, self._asked, self._file, heard))
            except BaseException as error:
                phrases.put(error)

        thread = Thread(target=work, name="stream")
        thread.start()
        try:
            before = ""
            while isinstance(item := phrases.get(), Hypothesis):
                yield _event({"type": "transcript.text.delta", "delta": before + item.text})
                before = " "
            yield self._last(item)
        finally:
            gone = True
            thread.join()
            forget()

    def _last(self, item: Transcript | BaseException) -> str:
        if isinstance(item, Transcript):
            text, _ = _text(self._service, self._asked, item)
            warnings = [*self._asked.warnings, *item.warnings]
            return _event({"type": "transcript.text.done", "text": text, "warnings": warnings})
        if isinstance(item, MedsttError):
            return _event({"error": {"message": str(item), "type": "server_error", "param": None, "code": item.code}})
        self._service.log.failure("stream.error", item)
        return _event({"error": {"message": "An unexpected error.", "type": "server_error", "code": "internal"}})


class _Gone(Exception):
    """The reader of a stream went away."""


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


@router.get("/models", response_model=schema.ModelList)
def list_models(caller: CallerOf, settings: SettingsOf) -> schema.ModelList:
    """List the models that can be named."""
    return schema.ModelList(object="list", data=[_view(name) for name in _model_names(settings)])


@router.get("/models/{model}", response_model=schema.ModelView)
def get_model(model: str, caller: CallerOf, settings: SettingsOf) -> schema.ModelView:
    """Return one model."""
    if model not in _model_names(settings):
        raise UnknownModel(f"there is no model {model[:60]!r} here", "GET /v1/models lists them.")
    return _view(model)


def _view(name: str) -> schema.ModelView:
    return schema.ModelView(id=name, object="model", created=0, owned_by="medstt")
