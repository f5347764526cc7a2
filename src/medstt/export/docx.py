"""A report as a Word document: sections as headings, doubtful passages highlighted until it is signed.

Knows nothing of where the report comes from.
"""

from __future__ import annotations

import io
import itertools
import re
from datetime import UTC, datetime
from typing import Any

from medstt.export.clinical import ReportFacts
from medstt.values import Document, Flag

# XML 1.0 cannot hold these characters in any spelling.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
LABELS = {
    "en": {"preliminary": "PRELIMINARY - not signed", "final": "Signed by {}", "amended": "Amended, signed by {}"},
    "de": {"preliminary": "VORLÄUFIG - nicht freigegeben", "final": "Freigegeben: {}", "amended": "Geändert: {}"},
}


def render_docx(facts: ReportFacts, document: Document) -> bytes:
    """Return the document as the bytes of a .docx file, the same for the same report."""
    import docx
    from docx.shared import Pt

    target = docx.Document()
    properties = target.core_properties
    properties.author, properties.title = _clean(facts.author), "Dictated report"
    properties.created = properties.modified = datetime.fromtimestamp(facts.ready_ms / 1000, UTC)
    properties.identifier, properties.comments = facts.id, ""
    normal = target.styles["Normal"]
    normal.font.name, normal.font.size = "Calibri", Pt(11)
    labels = LABELS.get(document.language, LABELS["en"])
    header = target.sections[0].header.paragraphs[0]
    header.text = _clean("   ".join(part for part in (facts.patient, facts.encounter, facts.author) if part))
    target.sections[0].footer.paragraphs[0].text = f"{facts.id}   v{facts.version}"
    target.add_paragraph().add_run(_clean(labels[facts.state].format(facts.signed_by))).bold = True
    flags = document.flags if facts.state == "preliminary" else ()
    titles = {section.start: section for section in document.sections}
    position = 0
    for line in document.text.split("\n"):
        section = titles.get(position)
        if section is not None and line.rstrip(":").strip() == section.title:
            target.add_heading(_clean(line), level=2)
        elif line:
            _add_line(target.add_paragraph(), line, position, flags)
        position += len(line) + 1
    buffer = io.BytesIO()
    target.save(buffer)
    return buffer.getvalue()


def _add_line(paragraph: Any, line: str, offset: int, flags: tuple[Flag, ...]) -> None:
    """Add a line as runs, those with a flag highlighted."""
    from docx.enum.text import WD_COLOR_INDEX

    end = offset + len(line)
    inside = [flag for flag in flags if flag.start < flag.end and flag.start < end and flag.end > offset]
    cuts = {offset, end, *(max(offset, flag.start) for flag in inside), *(min(end, flag.end) for flag in inside)}
    edges = sorted(cuts)
    for start, stop in itertools.pairwise(edges):
        run = paragraph.add_run(_clean(line[start - offset : stop - offset]))
        if any(flag.start <= start and stop <= flag.end for flag in inside):
            run.font.highlight_color = WD_COLOR_INDEX.YELLOW


def _clean(text: str) -> str:
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
