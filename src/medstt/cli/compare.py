"""`medstt compare`: what a second run gained and cost against a first one, critical errors first."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="The run to compare with (the parent, the champion).")],
    second: Annotated[Path, typer.Argument(help="The run that is judged.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare two runs on the same utterances: paired differences with 95 % intervals and permutation p-values."""
    from medstt.evaluate.compare import compare_runs
    from medstt.evaluate.text import comparison_text

    comparison = compare_runs(first, second)
    if as_json:
        print(json.dumps(asdict(comparison), indent=1, ensure_ascii=False))
        return
    print(comparison_text(comparison))
    if comparison.worst:
        worst = ", ".join(f"{change.key} ({change.before} to {change.after})" for change in comparison.worst)
        print(f"worst (weighted errors): {worst}")
