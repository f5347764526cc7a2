"""SubRip subtitles of the verbatim words."""

from __future__ import annotations

from medstt.export.cue import make_cues, write_time
from medstt.values import Document, Transcript


def render(transcript: Transcript, document: Document | None) -> bytes:
    """Return numbered cues as UTF-8; the document plays no part, because written text has no times of its own."""
    blocks = []
    for number, cue in enumerate(make_cues(transcript), 1):
        times = " --> ".join(write_time(ms, ",") for ms in (cue.segment.start_ms, cue.segment.end_ms))
        blocks.append("\n".join([str(number), times, *cue.lines, ""]))
    return "\n".join(blocks).encode()
