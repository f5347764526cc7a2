"""`medstt benchmark`: speed and memory of engines on the same random weights, side by side.

Knows nothing of accuracy: that is `medstt evaluate`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from medstt.benchmark.figure import Figure

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Measure speed and memory side by side.")

_NOTE = (
    "Random weights of the true shape and a forced number of tokens: figures of speed, not of accuracy. Decoding at a "
    "clip's own length needs a model tuned for it; stock weights run at 30 s."
)


@app.command("engine")
def engine(
    shapes: Annotated[str, typer.Option(help="Model shapes, separated by commas.")] = "mini,tiny,base",
    repeat: Annotated[int, typer.Option(min=1, help="Interleaved runs of every case.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Also write the tables to this Markdown file.")] = None,
) -> None:
    """Compare our decoder on ONNX Runtime with CTranslate2, both int8 and at the clip's own length."""
    systems = ["medstt", "ctranslate2"]
    cases = [("6 s, greedy", 6.0, 20, 1), ("6 s, beam 5", 6.0, 20, 5)]
    cases += [("30 s, greedy", 30.0, 100, 1), ("30 s, beam 5", 30.0, 100, 5)]
    _report("medstt benchmark engine", shapes, systems, cases, repeat, out, [])


@app.command("speed")
def speed(
    peers: Annotated[str, typer.Option(help="Systems to compare with.")] = "faster-whisper,whisper.cpp",
    shapes: Annotated[str, typer.Option(help="Model shapes, separated by commas.")] = "tiny,base",
    cases: Annotated[str, typer.Option(help="Inputs: short, long, dictation.")] = "short,long,dictation",
    repeat: Annotated[int, typer.Option(min=1, help="Interleaved runs of every case.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Also write the tables to this Markdown file.")] = None,
) -> None:
    """Compare medstt with other programs: a short clip, a long one, a five-minute dictation."""
    from medstt.benchmark.system import PEERS, is_installed
    from medstt.errors import OptionError

    names = [name.strip() for name in peers.split(",") if name.strip()]
    for name in names:
        if name not in PEERS:
            raise OptionError(f"peer {name!r} is unknown", f"Choose among {', '.join(PEERS)}")
    notes = [f"{name}: not installed." for name in names if not is_installed(name)]
    systems = ["medstt", "medstt at 30 s", *(name for name in names if is_installed(name))]
    lengths = {"short": ("6 s clip", 6.0, 20, 1), "long": ("30 s clip", 30.0, 100, 1)}
    lengths["dictation"] = ("5 min dictation", 300.0, 1000, 1)
    chosen = [name.strip() for name in cases.split(",")]
    for name in chosen:
        if name not in lengths:
            raise OptionError(f"case {name!r} is unknown", f"Choose among {', '.join(lengths)}")
    command = f"medstt benchmark speed --peers {peers} --cases {cases}"
    _report(command, shapes, systems, [lengths[name] for name in chosen], repeat, out, notes)


def _report(
    command: str,
    shapes: str,
    systems: list[str],
    cases: list[tuple[str, float, int, int]],
    repeat: int,
    out: Path | None,
    notes: list[str],
) -> None:
    """Measure shape by shape, print each table as it is ready, and write all of them at the end."""
    from medstt.benchmark.measure import Case, measure
    from medstt.benchmark.model import find_shape, write_random_model
    from medstt.benchmark.table import describe_machine, format_costs

    chosen = [(name.strip(), find_shape(name.strip())) for name in shapes.split(",")]
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    head = [f"`{command} --shapes {shapes} --repeat {repeat}`, {date}.", describe_machine(), _NOTE, *notes]
    text = "\n\n".join(head)
    typer.echo(text)
    for name, shape in chosen:
        with tempfile.TemporaryDirectory(prefix="medstt-benchmark-") as folder:
            model = write_random_model(Path(folder) / name, shape)
            costs = measure(model, Path(folder), systems, [Case(*case) for case in cases], repeat)
        table = f"\n\n## {name} shape\n\n{format_costs(costs, 'medstt')}"
        typer.echo(table)
        text += table
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")


@app.command("context")
def context(
    model: Annotated[str, typer.Option(help="Model that is tuned for clips at their own length.")] = "medstt-mini",
    manifest: Annotated[Path, typer.Option(help="Utterances with references.")] = Path("samples/references.jsonl"),
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many utterances, chosen by id.")] = None,
) -> None:
    """Compare a model's word errors and CPU time at its clips' own length and padded to 30 s."""
    from medstt.benchmark.context import format_contexts, measure_contexts
    from medstt.benchmark.table import describe_machine
    from medstt.evaluate.item import read_items, sample_items
    from medstt.service import read_settings

    items = read_items(manifest)
    costs = measure_contexts(model, read_settings().home, sample_items(items, sample) if sample else items)
    typer.echo(f"{describe_machine()} {datetime.now(UTC):%Y-%m-%d}.\n\n{format_contexts(costs)}")


@app.command("service")
def service(
    parts: Annotated[
        str, typer.Option(help="Which to measure, with commas: overhead, throughput, upload, clients, queue.")
    ] = "overhead,throughput,upload,clients,queue",
    samples: Annotated[Path, typer.Option(help="Folder of sample recordings that are sent.")] = Path("samples"),
    repeat: Annotated[int, typer.Option(min=1, help="Interleaved runs of the overhead.")] = 20,
    clips: Annotated[int, typer.Option(min=4, help="Clips of 6 s in each run of the throughput.")] = 60,
    upload_mb: Annotated[int, typer.Option(min=1, help="Size of the large upload.")] = 500,
    clients: Annotated[int, typer.Option(min=1, help="Concurrent clients.")] = 50,
    seconds: Annotated[float, typer.Option(min=1, help="How long the clients dictate.")] = 600,
    queued: Annotated[int, typer.Option(min=10, help="Dictations in the queue.")] = 10_000,
    postgresql: Annotated[
        str | None, typer.Option(help="URL of an empty database; without it a throwaway cluster is started.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the figures to this JSON file.")] = None,
) -> None:
    """Measure the real server on loopback, two engines: what it adds to its engine, and how it holds up."""
    from medstt.benchmark import queue, service, throughput
    from medstt.benchmark.caller import read_speech

    wanted = _checked_parts(parts, ("overhead", "throughput", "upload", "clients", "queue"))
    load = service.Load(repeat, upload_mb, clients, seconds)
    if {"overhead", "throughput", "clients"} & set(wanted):
        speech = read_speech(samples)
    measures: dict[str, Callable[[], list[Figure]]] = {
        "overhead": lambda: service.measure_overhead(speech, load),
        "throughput": lambda: throughput.measure_throughput(speech, clips),
        "upload": lambda: service.measure_upload(load),
        "clients": lambda: service.measure_clients(speech, load),
        "queue": lambda: queue.measure_queue(queued, postgresql=postgresql),
    }
    _show({name: measures[name] for name in wanted}, out)


@app.command("process")
def process(
    parts: Annotated[
        str, typer.Option(help="Which to measure, with commas: startup, files, memory.")
    ] = "startup,files,memory",
    samples: Annotated[Path, typer.Option(help="Folder of sample recordings that are used.")] = Path("samples"),
    repeat: Annotated[int, typer.Option(min=1, help="Fresh processes; the median counts.")] = 5,
    files: Annotated[int, typer.Option(min=2, help="Recordings of 6 s for one engine and for two.")] = 120,
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of the long recording.")] = 120,
    out: Annotated[Path | None, typer.Option(help="Also write the figures to this JSON file.")] = None,
) -> None:
    """Measure `medstt transcribe` as a fresh process: time to its first text, many files on two cores, memory."""
    from medstt.benchmark.caller import read_speech
    from medstt.benchmark.process import measure_files, measure_memory, measure_startup

    wanted, speech = _checked_parts(parts, ("startup", "files", "memory")), read_speech(samples)
    measures: dict[str, Callable[[], list[Figure]]] = {
        "startup": lambda: measure_startup(speech, repeat),
        "files": lambda: measure_files(speech, files),
        "memory": lambda: measure_memory(speech, minutes),
    }
    _show({name: measures[name] for name in wanted}, out)


def _checked_parts(parts: str, known: tuple[str, ...]) -> list[str]:
    """Return the parts named; raises OptionError for one that does not exist."""
    from medstt.errors import OptionError

    wanted = [name.strip() for name in parts.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise OptionError(f"part {name!r} is unknown", f"Choose among {', '.join(known)}")
    return wanted


def _show(measures: dict[str, Callable[[], list[Figure]]], out: Path | None) -> None:
    """Measure part by part, print each as it is ready, and write all of them."""
    import json

    from medstt.benchmark.figure import encode_figures, format_figures
    from medstt.benchmark.table import describe_machine

    typer.echo(f"{describe_machine()} {datetime.now(UTC):%Y-%m-%d}.")
    found: list[Figure] = []
    for measure in measures.values():
        figures = measure()
        typer.echo("\n" + format_figures(figures))
        found += figures
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(encode_figures(found), indent=1) + "\n", encoding="utf-8")


@app.command("replicas")
def replicas(
    shape: Annotated[str, typer.Option(help="Model shape.")] = "mini",
    clips: Annotated[int, typer.Option(min=2, help="Clips of 6 s in each run.")] = 40,
    repeat: Annotated[int, typer.Option(min=1, help="Runs of each; the best counts.")] = 3,
) -> None:
    """Compare one replica with two on this machine; other work on its cores spoils the figure."""
    from medstt.benchmark.model import find_shape, write_random_model
    from medstt.benchmark.replica import measure_replicas
    from medstt.benchmark.table import describe_machine

    with tempfile.TemporaryDirectory(prefix="medstt-benchmark-") as folder:
        model = write_random_model(Path(folder) / shape, find_shape(shape))
        one, two = measure_replicas(model, Path(folder), (1, 2), seconds=6.0, clips=clips, repeat=repeat)
    typer.echo(describe_machine())
    for found in (one, two):
        typer.echo(f"{found.replicas} replica(s): {found.clips_per_minute:.0f} clips of 6 s a minute")
    typer.echo(f"ratio: {two.clips_per_minute / one.clips_per_minute:.2f}")


@app.command("training")
def training(
    shapes: Annotated[str, typer.Option(help="Model shapes, separated by commas.")] = "mini,tiny,base",
    methods: Annotated[str, typer.Option(help="full, lora, lora+distil, frozen-encoder.")] = "full,lora+distil",
    seconds: Annotated[float, typer.Option(min=1, max=30, help="Length of a clip.")] = 10.0,
    clips: Annotated[int, typer.Option(min=1, help="Clips in a step.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each run, after one that warms up.")] = 3,
    repeat: Annotated[int, typer.Option(min=1, help="Interleaved runs of every case.")] = 2,
    padded: Annotated[bool, typer.Option(help="Also pad the clips to 30 s.")] = True,
    into: Annotated[Path | None, typer.Option(help="Put the table between the marks of this Markdown file.")] = None,
) -> None:
    """Measure what a training step needs: seconds and memory by shape, method and context."""
    from medstt.benchmark.model import find_shape
    from medstt.benchmark.training import (
        BEGIN,
        METHODS,
        StepCase,
        describe_host,
        format_estimates,
        format_steps,
        measure_steps,
        replace_between,
    )  # fmt: skip
    from medstt.errors import DataError, OptionError

    for shape in shapes.split(","):
        find_shape(shape)
    known = {str(method): method for method in METHODS}
    for method in methods.split(","):
        if method not in known:
            raise OptionError(f"method {method!r} is unknown", f"Choose among {', '.join(METHODS)}")
    cases = [
        StepCase(shape, known[method], seconds, clips, full)
        for shape in shapes.split(",")
        for method in methods.split(",")
        for full in ((False, True) if padded else (False,))
    ]
    table = f"{format_steps(measure_steps(cases, steps, repeat))}\n\n{format_estimates(seconds, clips)}"
    command = f"medstt benchmark training --shapes {shapes} --methods {methods} --seconds {seconds:g} --clips {clips}"
    text = f"`{command} --steps {steps} --repeat {repeat}`, {datetime.now(UTC):%Y-%m-%d}. {describe_host()}\n\n{table}"
    typer.echo(text)
    if into is not None:
        changed = replace_between(into.read_text(encoding="utf-8"), text)
        if changed is None:
            raise DataError(f"{into}: no {BEGIN} in it", "Put the two marks where the table is to stand")
        into.write_text(changed, encoding="utf-8")


@app.command("harness")
def harness(
    utterances: Annotated[int, typer.Option(min=1, help="Utterances of 20 words to be scored.")] = 10_000,
    draws: Annotated[int, typer.Option(min=1, help="Bootstrap draws.")] = 1000,
    rows: Annotated[int, typer.Option(min=0, help="Utterances in the report that is opened; 0: none.")] = 5000,
    model: Annotated[str, typer.Option(help="Model whose decoding the harness is put around.")] = "medstt-mini",
    manifest: Annotated[
        Path | None, typer.Option(help="Utterances to decode; without it the harness's share is left out.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Turns of decoding with and without the harness.")] = 3,
) -> None:
    """Measure the evaluation harness: scoring, its share of decoding (CPU seconds), opening a large report."""
    import shutil

    from medstt.benchmark.harness import measure_opening, measure_overhead, measure_scoring, write_large_report
    from medstt.benchmark.table import describe_machine

    typer.echo(describe_machine())
    cost = measure_scoring(utterances, draws)
    typer.echo(
        f"scoring {cost.utterances} utterances, all metrics, {draws} draws: {cost.wall_s:.1f} s, "
        f"CPU {cost.cpu_s:.1f} s, peak {cost.memory_mb} MB"
    )
    if manifest is not None:
        from medstt.evaluate.item import read_items
        from medstt.evaluate.system import SystemOptions, open_system
        from medstt.service import read_settings

        system = open_system(model, SystemOptions(home=read_settings().home))
        typer.echo(f"harness over decoding: {measure_overhead(system, read_items(manifest), repeat):+.2%} of CPU time")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if rows and browser is None:
        typer.echo("report: Chromium is not installed")
    elif rows and browser is not None:
        with tempfile.TemporaryDirectory(prefix="medstt-benchmark-") as folder:
            page = Path(folder) / "report.html"
            write_large_report(rows, page)
            seconds = measure_opening(page, browser)
            typer.echo(f"report of {rows} utterances ({page.stat().st_size / 1e6:.1f} MB) opens in {seconds:.2f} s")
