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
        list[Path] | None, typer.Argument(help="Folders with runs; the home's runs if not given.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the Markdown here instead of to stdout.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare with --out instead of writing it.")] = False,
) -> None:
    """Generate the leaderboard from scored runs."""
    from medstt.disk import write_atomically
    from medstt.errors import OptionError
    from medstt.evaluate.leaderboard import find_runs, render_leaderboard
    from medstt.service import Settings

    text = render_leaderboard(find_runs(folders or [Settings().home / "runs"]))
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
