"""`medstt vocab test`: whether a term is heard in a recording, with and without listening for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def hear_term(
    term: Annotated[str, typer.Argument(help="The term as it is to be written.")],
    audio: Annotated[Path, typer.Option("--audio", help="A recording in which it is said.")],
    model: Annotated[str | None, typer.Option("--model", help="Model name, NAME@VERSION or folder.")] = None,
    language: Annotated[str, typer.Option("--language", help="en, de, or auto to detect it.")] = "auto",
) -> None:
    """Transcribe a recording without any names, with the vocabulary, and with the term on top of it."""
    from medstt.cli.transcribe import check_language
    from medstt.errors import OptionError
    from medstt.listen import Vocabulary
    from medstt.service import open_transcriber, read_settings
    from medstt.vocab.fold import fold
    from medstt.vocab.listed import is_term

    if not is_term(term):
        raise OptionError(f"{term[:40]!r} is no term", "Give a name of at most six words")
    ways: tuple[tuple[str, Vocabulary], ...] = (("no names", ()), ("vocabulary", None), ("with the term", (term,)))
    settings, chosen = read_settings(), check_language(language)
    for label, vocabulary in ways:
        transcriber = open_transcriber(settings, model=model, language=chosen, vocabulary=vocabulary)
        transcript = transcriber.transcribe(audio)
        found = f" {fold(term)} " in f" {fold(transcript.text)} "
        print(f"{label:14} {'heard' if found else 'not heard':10} {transcript.text}")
        for choice in (one for hypothesis in transcript.hypotheses for one in hypothesis.choices):
            readings = ", ".join(f"{reading.text} {reading.probability:.2f}" for reading in choice.readings)
            print(f"{'':14} {choice.reason}: {choice.heard!r} -> {choice.written!r} ({readings})")
        for warning in transcriber.warnings:
            print(f"{'':14} {warning}")
