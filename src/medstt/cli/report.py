"""`medstt report`: one HTML file of a scored run, with what changed against another."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    against: Annotated[Path | None, typer.Option("--against", help="The parent's or champion's run.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The file; report.html in the run's folder.")] = None,
    include_text: Annotated[
        bool, typer.Option("--include-text", help="Put texts and ids of your own data into the file (confidential).")
    ] = False,
    include_audio: Annotated[
        bool, typer.Option("--include-audio", help="With texts: embed the audio of the worst twenty.")
    ] = False,
    lexicon: Annotated[list[Path] | None, typer.Option("--lexicon", help="As given to evaluate.")] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Also draw the top of the report as PNG (needs Chromium).")
    ] = None,
) -> None:
    """Write a run's report: opens offline in any browser. Our own benchmarks show their texts, your data do not."""
    from medstt.disk import write_atomically
    from medstt.evaluate.compare import compare_runs
    from medstt.evaluate.lexicon import open_spotter
    from medstt.evaluate.report import ReportOptions, render_report
    from medstt.evaluate.run import open_run
    from medstt.evaluate.score import Scorer, score_items
    from medstt.evaluate.summary import read_summary

    opened = open_run(run)
    document = read_summary(run)
    spot, _ = open_spotter(tuple(lexicon or ()))
    scored = score_items(opened.items, opened.answers(), Scorer(spot))
    own = "benchmark" in opened.spec and set(document["pools"]) == {"synthetic"}
    comparison = compare_runs(against, run) if against else None
    page = render_report(document, scored, ReportOptions(include_text, include_audio, own), comparison)
    target = out or run / "report.html"
    write_atomically(target, page)
    print(target)
    if picture is not None:
        from medstt.evaluate.picture import draw_picture

        draw_picture(target, picture)
        print(f"{picture}, {picture.stat().st_size // 1024} kB")
    if include_text and not own:
        print("medstt: the report holds dictated text; it is confidential", file=sys.stderr)
