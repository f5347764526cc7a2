"""`medstt format`: verbatim words from a file or standard input -> a written report.

Owns how the report, its explanation and its flags look on a terminal. Knows nothing of the rules.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medstt.errors import DataError

if TYPE_CHECKING:
    from medstt.values import Document

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def run(
    language: Annotated[str, typer.Option(help="Language of the words: en or de.")],
    source: Annotated[Path, typer.Argument(metavar="[FILE|-]", help="A text file, or - for standard input.")] = Path(
        "-"
    ),
    template: Annotated[str | None, typer.Option(help="Put the sections in a template's order.")] = None,
    site: Annotated[Path | None, typer.Option(help="Folder of the site's own templates and auto-texts.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show words -> rule -> text on standard error.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write text, spans, sections and flags as JSON.")] = False,
) -> None:
    """Turn dictated words into a written report: numbers, units, commands, sections, flags."""
    from medstt.text.explain import explain as explain_document
    from medstt.text.formatter import open_formatter
    from medstt.text.token import word_texts

    formatter = open_formatter(language, site=site)
    words = _read(source)
    document = formatter.format(words, template)
    rows = [asdict(row) for row in explain_document(document, word_texts(words))] if explain else []
    if as_json:
        fields = asdict(document) | ({"explanation": rows} if explain else {})
        sys.stdout.write(json.dumps(fields, ensure_ascii=False, indent=2).encode("utf-8", "replace").decode() + "\n")
        return
    sys.stdout.write(document.text.encode("utf-8", "replace").decode() + "\n")
    for row in rows:
        print(f"{row['words']!r} -> {row['rule']} -> {row['text']!r}", file=sys.stderr)
    _print_flags(document)


def _print_flags(document: Document) -> None:
    """One line per flag on standard error."""
    for flag in document.flags:
        print(f"{flag.severity}: {flag.message} [{flag.reason}]", file=sys.stderr)


def _read(source: Path) -> str:
    """The text of a file, or standard input for "-"; DataError names what cannot be read."""
    if str(source) == "-":
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    try:
        return source.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not UTF-8 at byte {error.start}", "Save the file as UTF-8.") from error
    except OSError as error:
        raise DataError(
            f"{source}: cannot be read ({error.strerror})", "Check the path and its permissions."
        ) from error
