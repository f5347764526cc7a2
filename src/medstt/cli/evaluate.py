"""`medstt evaluate`: a system under test on a manifest or on benchmarks, into a run's folder, with its figures."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from medstt.evaluate.answer import Answer
    from medstt.evaluate.item import Item
    from medstt.evaluate.run import Run
    from medstt.evaluate.schedule import Schedule
    from medstt.evaluate.summary import Summary
    from medstt.evaluate.system import System, SystemOptions

app = typer.Typer(add_completion=False)
FIRST_ESTIMATE_S = 20.0  # of asking, before anybody is told how long it will take


@dataclass(frozen=True)
class Terms:
    """What a run is scored with: further vocabulary, and manifests of training that tell how often each was said."""

    layers: tuple[Path, ...] = ()
    trained_on: tuple[Path, ...] = ()


@app.command(context_settings={"allow_extra_args": True})
def evaluate(
    context: typer.Context,
    system: Annotated[str, typer.Argument(help="A model, or KIND:WHAT (see below), or with --rescore a run's folder.")],
    manifest: Annotated[Path | None, typer.Option("--manifest", help="JSON Lines of utterances.")] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmark", metavar="NAME...", help="Benchmarks by name or file; ours: all that need no --set."
        ),
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option("--also", help="A further system, measured in the same way.")
    ] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", help="NAME=FILE: a set the benchmark leaves open.")] = None,
    texts: Annotated[Path | None, typer.Option("--texts", help="Folder of texts that its recipes name.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Only this split of the manifest.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's folder; an unfinished run goes on.")] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Only so many utterances, chosen by id.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", min=0, help="Stop asking after so long, all runs together.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Requests at a time; a model gets as many processes.")] = 1,
    beam: Annotated[int, typer.Option("--beam", min=1, help="Beam width; 1 is greedy.")] = 1,
    language: Annotated[
        str, typer.Option("--language", help="en, de, auto, or given: that of each utterance.")
    ] = "given",
    audio_context: Annotated[str | None, typer.Option("--audio-context", help="dynamic or full (30 s).")] = None,
    lexicon: Annotated[list[Path] | None, typer.Option("--lexicon", help="Further vocabulary for term scores.")] = None,
    trained_on: Annotated[
        list[Path] | None,
        typer.Option("--trained-on", help="Manifests of training: drug names are scored by how often they say them."),
    ] = None,
    vocabulary: Annotated[
        list[str] | None,
        typer.Option("--vocabulary", help="Names to listen for (our own models); none: no names. As in transcribe."),
    ] = None,
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
    from medstt.evaluate.run import open_run
    from medstt.evaluate.system import SystemOptions
    from medstt.listen import parse_vocabulary
    from medstt.service import Settings

    terms = Terms(tuple(lexicon or ()), tuple(trained_on or ()))
    if rescore:
        _finish(open_run(Path(system)), terms, as_json)
        return
    if bool(manifest) == bool(benchmark):
        raise OptionError("say what to evaluate on", "Give --manifest FILE or --benchmark NAME, not both")
    if context.args and not benchmark:
        raise OptionError(f"unexpected {context.args[0]!r}", "Give one SYSTEM; more of them with --also")
    settings = Settings()
    named = parse_vocabulary(vocabulary or [])
    options = SystemOptions(
        beam, None if language == "given" else language, audio_context, api_key=_read_key(api_key_file),
        timeout_s=timeout, home=settings.home, vocabulary=None if named is None else tuple(named),
    )  # fmt: skip
    with opened_systems([system, *(also or [])], options, jobs) as systems:  # a wrong name, before speech is made
        if manifest is not None:
            tasks = [manifest_task(manifest, split)]
        else:
            names = _benchmark_names([*(benchmark or []), *context.args])
            tasks = [benchmark_task(name, settings.home, given_sets(sets or []), texts) for name in names]
        runs = []
        for task in tasks:
            for name, opened in systems.items():
                place = out / _slug(name) if out is not None and len(systems) > 1 else out
                folder = _run_folder(task, name, opened, settings.home, place, sample, several=len(tasks) > 1)
                runs.append((_create_run(task, opened, folder, sample), opened, name))
        failed = _carry_out(runs, jobs, max_minutes, terms, as_json)
    if failed:
        raise typer.Exit(1)


@contextlib.contextmanager
def opened_systems(names: Sequence[str], options: SystemOptions, jobs: int) -> Iterator[dict[str, System]]:
    """Open systems by name, each ready for ``jobs`` requests at a time; their processes end with the block."""
    from medstt.evaluate.replica import ReplicatedSystem, open_side_by_side

    systems: dict[str, System] = {}
    try:
        for name in names:
            systems[name] = open_side_by_side(name, options, jobs)
        yield systems
    finally:
        for opened in systems.values():
            if isinstance(opened, ReplicatedSystem):
                opened.close()


def _carry_out(
    runs: Sequence[tuple[Run, System, str]],
    jobs: int,
    max_minutes: float | None,
    terms: Terms,
    as_json: bool,
) -> int:
    """Transcribe and score runs one after the other; returns how many requests failed."""
    from medstt.evaluate.schedule import Planned, Schedule, speech_ms

    plan = []
    for run, _, name in runs:
        answers = run.answers()
        asked = {key for key, answer in answers.items() if answer.error is None}
        plan.append(Planned(name, sum(speech_ms(item) for item in run.items if item.key not in asked)))
    schedule = Schedule(plan, max_minutes)
    failed = 0
    for number, (run, system, name) in enumerate(runs):
        if len(runs) > 1:
            print(f"\n[{number + 1}/{len(runs)}] {run.folder.name}, {name}: {len(run.items)} utterances, "
                  f"{plan[number].speech_ms / 60_000:.1f} min of speech to ask{_estimate(schedule, number)}",
                  file=sys.stderr)  # fmt: skip
        left = _transcribe(run, system, jobs, schedule.minutes_for(number), (schedule, number, name))
        summary = _finish(run, terms, as_json)
        if left:
            print(f"medstt: {left} of {len(run.items)} utterances were not asked (--max-minutes)", file=sys.stderr)
        failed += int(summary.document["failed"])
    return failed


def _estimate(schedule: Schedule, number: int) -> str:
    minutes = schedule.minutes_left(number)
    return "" if minutes is None else f"; about {minutes:.1f} min for this and all that follow"


def _benchmark_names(given: list[str]) -> list[str]:
    """Return benchmarks in order; "ours" stands for the shipped ones whose sets are all made here."""
    from medstt.evaluate.benchmark import our_benchmarks

    names = [one for name in given for one in (our_benchmarks() if name == "ours" else [name])]
    return list(dict.fromkeys(names))


@dataclass(frozen=True)
class Task:
    """One thing to evaluate on: its name, its utterances, and what the run's spec says of it."""

    name: str
    items: list[Item]
    about: dict[str, Any]


def manifest_task(path: Path, split: str | None) -> Task:
    """Return a manifest's utterances as a task; raises DataError."""
    from medstt.evaluate.item import read_items
    from medstt.manifest import digest_manifest

    items = read_items(path, split=split)
    about = {"manifest": {"name": path.name, "digest": digest_manifest(path), "split": split}}
    return Task("-".join(part for part in (path.parent.name, path.stem, split) if part), items, about)


def given_sets(sets: list[str]) -> dict[str, Path]:
    """Read NAME=FILE options; raises OptionError."""
    from medstt.errors import OptionError

    given = {}
    for each in sets:
        name, mark, path = each.partition("=")
        if not mark or not path:
            raise OptionError(f"--set {each!r} is not NAME=FILE", "Write for example --set human=manifest.jsonl")
        given[name] = Path(path)
    return given


def benchmark_task(name: str, home: Path, given: dict[str, Path], texts: Path | None) -> Task:
    """Return a benchmark's utterances as a task, making their speech if it is not there."""
    from medstt.cli.transcribe import usable_cores
    from medstt.evaluate.benchmark import Place, find_benchmark, open_benchmark, read_benchmark

    path = find_benchmark(name)
    benchmark = read_benchmark(path)
    place = Place(path.parent, home / "benchmarks", texts, given, usable_cores())
    made = 0

    def advance(done: int, total: int, seconds: float) -> None:
        nonlocal made
        made += done
        finished = made >= total
        if sys.stderr.isatty():
            end = "\n" if finished else ""
            print(f"\rmaking the speech of {benchmark.name}: {made}/{total}", end=end, file=sys.stderr)
        if finished:
            made = 0  # the next set begins

    items = open_benchmark(benchmark, place, advance)
    about = benchmark.model_dump(include={"name", "version", "title", "metrics", "slices", "evidence"})
    return Task(benchmark.name, items, {"benchmark": about})


def _run_folder(
    task: Task, name: str, system: System, home: Path, out: Path | None, sample: int | None, several: bool
) -> Path:
    if out is not None:
        return out / task.name if several else out
    about = system.describe()
    identity = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return home / "runs" / _slug(name, identity) / _slug(task.name, f"sample{sample}" if sample else None)


def _create_run(task: Task, system: System, folder: Path, sample: int | None) -> Run:
    """Open a run's folder, or make it; says which transcripts do not match."""
    from medstt.evaluate.external import TranscriptFolder
    from medstt.evaluate.item import digest_sound, sample_items
    from medstt.evaluate.run import create_run

    items = sample_items(task.items, sample) if sample else task.items
    if isinstance(system, TranscriptFolder) and (unmatched := system.mismatch(item.request for item in items)):
        print(f"medstt: {unmatched}", file=sys.stderr)
    about = {"whole": len(task.items), "sample": sample, "sound": digest_sound(items)}
    return create_run(folder, system, items, {**task.about, **about})


def evaluate_task(task: Task, name: str, system: System, home: Path, jobs: int) -> Path:
    """Run and score an opened system on one task, as far as that is not done; returns the run's folder."""
    run = _create_run(task, system, _run_folder(task, name, system, home, None, None, several=False), None)
    _transcribe(run, system, jobs, None)
    score_run(run)
    return run.folder


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


def _transcribe(
    run: Run,
    system: System,
    jobs: int,
    max_minutes: float | None,
    place: tuple[Schedule, int, str] | None = None,
) -> int:
    """Ask for what is missing; ``place`` is the run's in a schedule, which learns how fast the system is."""
    from medstt.evaluate.run import transcribe_run
    from medstt.evaluate.schedule import speech_ms

    done = sum(answer.error is None for answer in run.answers().values())
    lengths = {item.key: speech_ms(item) for item in run.items}
    start = time.monotonic()
    told = place is None or place[0].minutes_left(place[1]) is not None
    last: float | None = None  # the first answers take a model's start with them and tell nothing
    with _progress(len(run.items), done) as advance:

        def note(answer: Answer) -> None:
            nonlocal last, told
            advance(answer)
            if place is None:
                return
            schedule, number, name = place
            now = time.monotonic()
            if last is not None:
                schedule.learn(name, lengths[answer.key], now - last)
            last = now
            if not told and now - start > FIRST_ESTIMATE_S and schedule.minutes_left(number) is not None:
                told = True
                print(f"medstt: {_estimate(schedule, number).removeprefix('; ')}", file=sys.stderr)

        return transcribe_run(run, system, jobs=jobs, max_minutes=max_minutes, progress=note)


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


def score_run(run: Run, terms: Terms = Terms()) -> Summary:
    """Score a run's transcripts and write the scores into its folder."""
    from medstt.evaluate.document import document_counter, write_document
    from medstt.evaluate.lexicon import count_said, open_spotter
    from medstt.evaluate.score import Scorer, score_items
    from medstt.evaluate.summary import summarise, write_summary
    from medstt.manifest import digest_manifest

    said = count_said(terms.trained_on) if terms.trained_on else None
    spot, digests = open_spotter(terms.layers, said=said)
    about: dict[str, Any] = {"lexicon": digests}
    if terms.trained_on:
        about["trained_on"] = [digest_manifest(path) for path in terms.trained_on]
    scored = score_items(run.items, run.answers(), Scorer(spot, document_counter(write_document)))
    summary = summarise(run, scored, about)
    write_summary(run, summary, scored)
    return summary


def _finish(run: Run, terms: Terms, as_json: bool) -> Summary:
    from medstt.evaluate.text import headline

    summary = score_run(run, terms)
    if as_json:
        print(json.dumps(summary.document, indent=1, ensure_ascii=False))
    else:
        print(headline(summary.document))
        print(f"\nrun: {run.folder}", file=sys.stderr)
    return summary
