"""Transcripts and documents as the JSON that is stored, and back to the same values.

Knows nothing of where the JSON goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from medstt.values import Document, Span, Transcript

TRANSCRIPT: TypeAdapter[Transcript] = TypeAdapter(Transcript)
DOCUMENT: TypeAdapter[Document] = TypeAdapter(Document)


def encode_transcript(transcript: Transcript) -> dict[str, Any]:
    """Return a transcript as JSON values, complete."""
    encoded: dict[str, Any] = TRANSCRIPT.dump_python(transcript, mode="json")
    return encoded


def decode_transcript(content: Mapping[str, Any]) -> Transcript:
    """Return the transcript that was encoded."""
    return TRANSCRIPT.validate_python(dict(content))


def encode_document(document: Document) -> dict[str, Any]:
    """Return a document as JSON values, complete."""
    encoded: dict[str, Any] = DOCUMENT.dump_python(document, mode="json")
    return encoded


def decode_document(content: Mapping[str, Any]) -> Document:
    """Return the document that was encoded."""
    return DOCUMENT.validate_python(dict(content))


def verbatim_document(transcript: Transcript) -> Document:
    """Return the words as they were heard, each span pointing to its word; no rule was applied."""
    spans, start = [], 0
    for number, word in enumerate(transcript.words):
        spans.append(Span(start, start + len(word.text), (number,), "verbatim"))
        start += len(word.text) + 1
    return Document(transcript.text, transcript.language, tuple(spans))
