"""`medstt leaderboard`: the table of systems by benchmark, from the runs there are; checks a committed one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def leaderboard(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders with runs or records; the home's runs if not given.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the Markdown here instead of to stdout.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare with --out instead of writing it.")] = False,
    record: Annotated[
        Path | None,
        typer.Option("--record", help="Keep the runs' figures (no texts) here, and show what is kept here."),
    ] = None,
) -> None:
    """Generate the leaderboard from scored runs.

    To publish runs: `medstt leaderboard RUNS --record training/results/runs`, then
    `medstt leaderboard training/results/runs --out training/results/leaderboard.md`, and commit both.
    """
    from medstt.disk import write_atomically
    from medstt.errors import OptionError
    from medstt.evaluate.leaderboard import find_runs, read_documents, record_run, render_leaderboard
    from medstt.evaluate.summary import read_summary
    from medstt.service import Settings

    places = folders or [Settings().home / "runs"]
    if record is not None:
        for run in find_runs(places):
            if read_summary(run).get("benchmark"):
                print(record_run(run, record), file=sys.stderr)
        places = [record]
    text = render_leaderboard(read_documents(places))
    if check:
        if out is None:
            raise OptionError("--check needs --out FILE", "Name the committed file")
        if not out.is_file() or out.read_text(encoding="utf-8") != text:
            print(f"medstt: {out} is not what the runs say. Generate it again", file=sys.stderr)
            raise typer.Exit(1)
    elif out is not None:
        write_atomically(out, text)
    else:
        print(text, end="")
