"""The table of output formats; each is imported when it is used.

Knows nothing of where the bytes go.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import cast

from medstt.errors import OptionError
from medstt.values import Document, Transcript

# format (and file suffix) -> module with `render(transcript, document) -> bytes`
FORMATS: dict[str, str] = {
    "txt": "medstt.export.txt",
    "json": "medstt.export.json_format",
    "srt": "medstt.export.srt",
    "vtt": "medstt.export.vtt",
}


def check_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Return the formats without repetitions; raises OptionError for an unknown one."""
    for name in names:
        if name not in FORMATS:
            raise OptionError(f"There is no output format {name!r}", f"Use {', '.join(FORMATS)}")
    if not names:
        raise OptionError("No output format is named", f"Use {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(names))


def render(name: str, transcript: Transcript, document: Document | None = None) -> bytes:
    """Return a transcript as the bytes of a file; without a document the verbatim words stand for the text."""
    check_formats([name])
    return cast(bytes, importlib.import_module(FORMATS[name]).render(transcript, document))
