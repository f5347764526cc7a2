"""Multipart forms read as a stream: small fields into memory, the file sealed to disk chunk by chunk, never in clear.

Knows nothing of what fields mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from medstt.api.problem import TooSlow, UnsupportedForm
from medstt.errors import InputError, TooLarge
from medstt.store.objects import ObjectWriter

FIELD_BYTES = 64 * 1024
FIELDS = 50
FLUSH_BYTES = 1 << 20
FILE_FIELD = "file"


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Largest file in bytes, and the longest silence in seconds."""

    file_bytes: int
    silence_s: float


@dataclass(slots=True)
class Form:
    """A form that was read: texts by field name (a field may repeat), and the file's name and media type, if any."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    file_name: str = ""
    media_type: str = ""
    has_file: bool = False


class Upload:
    """The file of a form on its way into an encrypted object, which is opened once there is much, or all of it."""

    def __init__(self, open_writer: Callable[[], ObjectWriter]) -> None:
        self.pending = bytearray()
        self._open = open_writer
        self._writer: ObjectWriter | None = None

    def write(self) -> ObjectWriter:
        """Write what is pending; call it in a thread."""
        if self._writer is None:
            self._writer = self._open()
        data, self.pending = bytes(self.pending), bytearray()
        self._writer.write(data)
        return self._writer

    def commit(self) -> ObjectWriter:
        """Write the rest and complete the object; call it in a thread."""
        writer = self.write()
        writer.commit()
        return writer

    def abort(self) -> None:
        """Remove a draft; safe to call twice and after ``commit``."""
        if self._writer is not None:
            self._writer.abort()


async def read_form(request: Request, limits: FormLimits, upload: Upload) -> Form:
    """Read a multipart form, its part called ``file`` into ``upload``; the caller commits or aborts that.

    Raises UnsupportedForm, InputError for a malformed form, TooLarge, TooSlow, ClientDisconnect.
    """
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    if content_type != b"multipart/form-data":
        raise UnsupportedForm("the body must be multipart/form-data", "Send the recording as the field file.")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise InputError("the multipart boundary is missing or too long", "Let your HTTP library write the header.")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.file_bytes + FIELDS * FIELD_BYTES:
        raise _too_large(limits)
    reader = _Reader(limits, boundary, upload)
    chunks = request.stream().__aiter__()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(chunks, b""), limits.silence_s)
        except TimeoutError as error:
            raise TooSlow(f"nothing arrived for {limits.silence_s:.0f} seconds", "Send the request again.") from error
        except ClientDisconnect as error:
            raise InputError("the upload broke off") from error
        if not chunk:
            break
        reader.feed(chunk)
        if len(upload.pending) >= FLUSH_BYTES:
            await run_in_threadpool(upload.write)
    reader.finish()
    return reader.form


def _too_large(limits: FormLimits) -> TooLarge:
    return TooLarge(f"the upload is over the limit of {limits.file_bytes >> 20} MB", "Split it or use opus or mp3.")


class _Reader:
    """The push parser's callbacks."""

    def __init__(self, limits: FormLimits, boundary: bytes, upload: Upload) -> None:
        self.form = Form()
        self._upload = upload
        self._limits = limits
        self._file_bytes = 0
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._name: str | None = None
        self._value = bytearray()
        self._in_file = False
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise InputError("the multipart form is malformed", "Let your HTTP library write it.") from error

    def finish(self) -> None:
        if not self._ended:
            raise InputError("the multipart form breaks off", "Send the request again.")

    def _part_begin(self) -> None:
        self._headers, self._header_name, self._name, self._value = {}, b"", None, bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name = data[start:end].lower()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers[self._header_name] = self._headers.get(self._header_name, b"") + data[start:end]

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = _text(options.get(b"name", b""))
        if not self._name:
            raise InputError("a part of the form has no name", "Name every field.")
        self._in_file = self._name == FILE_FIELD
        if self._in_file:
            if self.form.has_file:
                raise InputError("the form has two files", "Send one recording a request.")
            self.form.has_file = True
            self.form.file_name = _base_name(_text(options.get(b"filename", b"")))
            self.form.media_type = _text(self._headers.get(b"content-type", b""))
        elif b"filename" in options:
            raise InputError(f"{self._name[:40]!r} is a file, which has no meaning here", "Send it as the field file.")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._file_bytes += end - start
            if self._file_bytes > self._limits.file_bytes:
                raise _too_large(self._limits)
            self._upload.pending += data[start:end]
        else:
            self._value += data[start:end]
            if len(self._value) > FIELD_BYTES:
                raise TooLarge(f"the field {(self._name or '')[:40]!r} is over {FIELD_BYTES >> 10} KB")

    def _part_end(self) -> None:
        if self._in_file or self._name is None:
            return
        self.form.fields.setdefault(self._name, []).append(_text(bytes(self._value)))
        if sum(map(len, self.form.fields.values())) > FIELDS:
            raise TooLarge(f"the form has more than {FIELDS} fields")

    def _end(self) -> None:
        self._ended = True


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("a field is not UTF-8", "Encode the form as UTF-8.") from error


def _base_name(name: str) -> str:
    """Return the last part of a file name; it is shown, never used as a path."""
    return name.replace("\\", "/").rpartition("/")[2][:200]


def single(fields: Mapping[str, list[str]], list_fields: frozenset[str] = frozenset()) -> dict[str, object]:
    """Return fields as one value each, those in ``list_fields`` as lists (a trailing [] in their name is dropped).

    Raises InputError for a field that is sent twice.
    """
    values: dict[str, object] = {}
    for name, found in fields.items():
        bare = name.removesuffix("[]")
        if bare in list_fields:
            values[bare] = found
        elif len(found) > 1:
            raise InputError(f"the field {name[:40]!r} is sent twice", "Send it once.")
        else:
            values[name] = found[0]
    return values
