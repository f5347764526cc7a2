"""`medstt prove`: what fine-tuning gains and costs, method by method, from one plan; writes a dated result.

Owns the arguments and the two files. Knows nothing of training or scores.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def prove(
    plan: Annotated[Path, typer.Argument(help="Plan (TOML); training/proof/transfer.toml is ours.")],
    out: Annotated[Path, typer.Option("--out", help="The proof's folder; an interrupted proof goes on in it.")],
    data: Annotated[Path, typer.Option(help="Folder that the plan's manifests are relative to.")] = Path("."),
    texts: Annotated[Path | None, typer.Option(help="Folder of the text files that recipes name.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Also write NAME.md and NAME.json of the plan into this folder.")
    ] = None,
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the plan.")] = [],  # noqa: B006
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only this row, and the base; may be repeated."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Processes and requests at a time; 0: one per core.")] = 0,
) -> None:
    """Train a base by several methods, ask all of them the same, and write what each gained and cost.

    Rows: base, a control on general speech, the plan's methods, and one method on less data. What is done is not done
    again; the report is complete in itself at any time and names what is missing.
    """
    from medstt.cli.follow import RunDisplay
    from medstt.cli.transcribe import usable_cores
    from medstt.disk import write_atomically
    from medstt.errors import OptionError
    from medstt.lifecycle.proof.material import Studio
    from medstt.lifecycle.proof.plan import read_plan
    from medstt.lifecycle.proof.result import BASE, Tell, prove
    from medstt.lifecycle.proof.text import render
    from medstt.service import read_settings

    settings = read_settings()
    wanted = read_plan(plan, set_)
    curve = [f"curve-{size}" for size in wanted.curve.sizes] if wanted.curve else []
    for name in only or []:
        if name not in (BASE, *wanted.methods, *curve):
            raise OptionError(f"--only {name}: no such row", f"There are {', '.join((BASE, *wanted.methods, *curve))}")
    studio = Studio(plan.parent, data, texts, out, jobs or usable_cores())
    tell = Tell(lambda line: print(f"medstt: {line}", file=sys.stderr, flush=True), RunDisplay)
    document = prove(wanted, studio, settings.home, tell, only or ())
    report = render(document, _command(plan, set_, only or []))
    for folder in (out, results):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            content = json.dumps(
                {"command": _command(plan, set_, only or []), **document}, indent=1, ensure_ascii=False
            )
            write_atomically(folder / f"{plan.stem}.json", content + "\n")
            write_atomically(folder / f"{plan.stem}.md", report)
    print(out / f"{plan.stem}.md")


def _command(plan: Path, changes: list[str], only: list[str]) -> str:
    """Return the command for a report: where this machine keeps things is left out."""
    flags = [f"--set {re.sub(r'=/.*/', '=', change)}" for change in changes] + [f"--only {name}" for name in only]
    return " ".join(["medstt prove", plan.name if plan.is_absolute() else str(plan), *flags])
