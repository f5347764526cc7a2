"""`medstt demo`: transcribe a folder of sample dictations and print text, reference, word error rate and speed.

Owns the print-out. Knows nothing of how samples are made or errors counted.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from medstt.metrics import ErrorCounts

app = typer.Typer(add_completion=False)

MANIFEST = "references.jsonl"


@app.command()
def demo(
    samples: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help=f"Folder with recordings and their {MANIFEST}.")
    ] = Path("samples"),
    model: Annotated[
        str | None, typer.Option("--model", help="Model name, NAME@VERSION, NAME:ALIAS, folder or hub id.")
    ] = None,
) -> None:
    """Transcribe the sample dictations and compare them with their references.

    Word errors are counted on content words: case, punctuation and the way numbers are written do not count.
    """
    from medstt.manifest import read_manifest
    from medstt.metrics import ErrorCounts, word_errors
    from medstt.service import load_model, read_settings
    from medstt.text import format as format_text
    from medstt.transcriber import Transcriber

    utterances = read_manifest(samples / MANIFEST)
    started_s = time.perf_counter()
    transcriber = Transcriber(load_model(read_settings(), model))
    loaded_s = time.perf_counter()
    print(f"{transcriber.engine.ref.name} loaded in {loaded_s - started_s:.2f} s\n")
    if warning := transcriber.engine.capabilities.warning:
        print(f"Warning: {warning}\n")
    counts: dict[str, ErrorCounts] = {}
    audio_ms = 0
    for utterance in utterances:
        transcript = transcriber.transcribe(samples / utterance.audio, utterance.audio)
        audio_ms += transcript.duration_ms
        errors = word_errors(utterance.text, transcript.text, utterance.lang)
        counts[utterance.lang] = counts.get(utterance.lang, ErrorCounts()) + errors
        print(f"{utterance.audio} ({transcript.language}, {transcript.duration_ms / 1000:.1f} s)")
        print(f"  reference  {utterance.text}")
        print(f"  heard      {transcript.text or '(nothing)'}")
        if transcript.words:
            written = format_text(transcript, transcript.language).text.rstrip("\n").replace("\n", "\n             ")
            print(f"  written    {written}")
        print(f"  WER        {_percent(errors)}\n")
    elapsed_s = time.perf_counter() - loaded_s
    for language, pooled in sorted(counts.items()):
        print(f"{language}: WER {_percent(pooled)} over {pooled.utterances} recordings")
    print(f"{audio_ms / 1000:.1f} s of audio in {elapsed_s:.1f} s: {audio_ms / 1000 / elapsed_s:.1f}x real time")


def _percent(counts: ErrorCounts) -> str:
    if counts.rate is None:
        return f"no reference words, {counts.insertions} invented"
    return f"{100 * counts.rate:.1f} % ({counts.errors} of {counts.reference_length} words)"
