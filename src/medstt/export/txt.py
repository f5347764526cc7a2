"""Plain text: the document's text, or the verbatim words."""

from __future__ import annotations

from medstt.values import Document, Transcript


def render(transcript: Transcript, document: Document | None) -> bytes:
    """Return UTF-8 text with a newline at its end; nothing at all where nothing was said."""
    text = (document.text if document is not None else transcript.text).rstrip("\n")
    return f"{text}\n".encode() if text else b""
