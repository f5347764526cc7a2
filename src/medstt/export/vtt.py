"""WebVTT subtitles of the verbatim words."""

from __future__ import annotations

from html import escape

from medstt.export.cue import make_cues, write_time
from medstt.values import Document, Transcript


def render(transcript: Transcript, document: Document | None) -> bytes:
    """Return a WebVTT file as UTF-8; the document plays no part, because written text has no times of its own."""
    blocks = ["WEBVTT\n"]
    for cue in make_cues(transcript):
        times = " --> ".join(write_time(ms, ".") for ms in (cue.segment.start_ms, cue.segment.end_ms))
        blocks.append("\n".join([times, *(escape(line, quote=False) for line in cue.lines), ""]))
    return "\n".join(blocks).encode()
