"""`medstt evaluate`: a system under test on a manifest or on benchmarks, into a run's folder, with its figures."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from medstt.evaluate.run import Answer, Run
    from medstt.evaluate.summary import Summary

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    system: Annotated[str, typer.Argument(help="A model, or KIND:WHAT (see below), or with --rescore a run's folder.")],
    manifest: Annotated[Path | None, typer.Option("--manifest", help="JSON Lines of utterances.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Only this split of the manifest.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's folder; an unfinished run goes on.")] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Only so many utterances, chosen by id.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", min=0, help="Stop asking after so long.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Requests at a time (remote systems).")] = 1,
    beam: Annotated[int, typer.Option("--beam", min=1, help="Beam width; 1 is greedy.")] = 1,
    language: Annotated[
        str, typer.Option("--language", help="en, de, auto, or given: that of each utterance.")
    ] = "given",
    audio_context: Annotated[str | None, typer.Option("--audio-context", help="dynamic or full (30 s).")] = None,
    lexicon: Annotated[list[Path] | None, typer.Option("--lexicon", help="Further vocabulary for term scores.")] = None,
    api_key_file: Annotated[
        Path | None, typer.Option("--api-key-file", help="File with a remote system's key.")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait for one answer.")] = 120.0,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="SYSTEM is a run: score it again, decode nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Measure a system: word errors with intervals, critical errors, drug names, invented words, speed.

    SYSTEM is a model (name, NAME@VERSION, folder, hub id), or faster-whisper:FOLDER, transformers:FOLDER,
    http://HOST/v1#MODEL (OpenAI-compatible), "command:PROGRAM {audio}", transcripts:FOLDER.
    """
    from medstt.errors import OptionError
    from medstt.evaluate.item import read_items, sample_items
    from medstt.evaluate.run import create_run, open_run
    from medstt.evaluate.system import SystemOptions, open_system
    from medstt.manifest import digest_manifest
    from medstt.service import Settings

    layers = tuple(lexicon or ())
    if rescore:
        _finish(open_run(Path(system)), layers, as_json)
        return
    if manifest is None:
        raise OptionError("nothing to evaluate on", "Give --manifest FILE or --benchmark NAME")
    settings = Settings()
    options = SystemOptions(
        beam, None if language == "given" else language, audio_context, api_key=_read_key(api_key_file),
        timeout_s=timeout, home=settings.home,
    )  # fmt: skip
    items = read_items(manifest, split=split)
    items = sample_items(items, sample) if sample else items
    opened = open_system(system, options)
    about = {"manifest": {"name": manifest.name, "digest": digest_manifest(manifest), "split": split, "sample": sample}}
    folder = out or settings.home / "runs" / _slug(system, manifest.parent.name, manifest.stem, split, sample)
    run = create_run(folder, opened, items, about)
    left = _transcribe(run, opened, jobs, max_minutes)
    summary = _finish(run, layers, as_json)
    if left:
        print(f"medstt: {left} of {len(items)} utterances were not asked (--max-minutes)", file=sys.stderr)
    if summary.document["failed"]:
        raise typer.Exit(1)


def _slug(*parts: object) -> str:
    text = "-".join(str(part) for part in parts if part)
    return re.sub(r"[^\w.@-]+", "-", text).strip("-")[-120:]


def _read_key(path: Path | None) -> str | None:
    from medstt.errors import OptionError

    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror}", "Give a file that holds the key") from error


def _transcribe(run: Run, system: Any, jobs: int, max_minutes: float | None) -> int:
    from medstt.evaluate.run import transcribe_run

    done = sum(answer.error is None for answer in run.answers().values())
    with _progress(len(run.items), done) as advance:
        return transcribe_run(run, system, jobs=jobs, max_minutes=max_minutes, progress=advance)


@contextlib.contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[Answer], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn())
    audio_ms = wall_ms = failed = 0
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total, completed=done, note="")

        def advance(answer: Answer) -> None:
            nonlocal audio_ms, wall_ms, failed
            audio_ms += (answer.reply.audio_ms or 0) if answer.reply else 0
            wall_ms += answer.wall_ms
            failed += answer.reply is None
            speed = f"{audio_ms / max(1, wall_ms):.1f}x real time" if audio_ms else ""
            bar.update(task, advance=1, note=f"{speed}, {failed} failed" if failed else speed)

        yield advance


def _finish(run: Run, layers: tuple[Path, ...], as_json: bool) -> Summary:
    from medstt.evaluate.lexicon import open_spotter
    from medstt.evaluate.score import Scorer, score_items
    from medstt.evaluate.summary import summarise, write_summary
    from medstt.evaluate.text import headline

    spot, digests = open_spotter(layers)
    scored = score_items(run.items, run.answers(), Scorer(spot))
    summary = summarise(run, scored, {"lexicon": digests})
    write_summary(run, summary, scored)
    if as_json:
        print(json.dumps(summary.document, indent=1, ensure_ascii=False))
    else:
        print(headline(summary.document))
        print(f"\nrun: {run.folder}", file=sys.stderr)
    return summary
