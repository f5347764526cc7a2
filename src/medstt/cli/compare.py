"""`medstt compare`: what a second run gained and cost against a first one, critical errors first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from medstt.errors import OptionError

app = typer.Typer(add_completion=False)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="The run to compare with (the parent, the champion).")],
    second: Annotated[Path, typer.Argument(help="The run that is judged.")],
    audit: Annotated[
        bool, typer.Option("--audit", help="List references that runs agree against, for a person to hear.")
    ] = False,
    also: Annotated[
        list[Path] | None, typer.Option("--also", help="With --audit: further runs on the same utterances.")
    ] = None,
    terms: Annotated[
        Path | None, typer.Option("--terms", help="Only say how many of these terms each run got right, and invented.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare two runs on the same utterances: paired differences with 95 % intervals and permutation p-values."""
    if audit:
        _show_doubts([first, second, *(also or [])], as_json)
        return
    if also:
        raise OptionError("--also goes with --audit", "Compare two runs at a time")
    if terms is not None:
        _show_terms(first, second, terms, as_json)
        return
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


def _show_doubts(folders: Sequence[Path], as_json: bool) -> None:
    from medstt.evaluate.audit import doubt_references
    from medstt.evaluate.run import open_run

    runs = [open_run(folder) for folder in folders]
    doubts = doubt_references(runs[0].items, [run.answers() for run in runs])
    if as_json:
        print(json.dumps([asdict(doubt) for doubt in doubts], indent=1, ensure_ascii=False))
        return
    for doubt in doubts:
        print(f"{doubt.key}: {doubt.reference or 'nothing'!r} in the reference, {doubt.heard or 'nothing'!r} heard")


def _show_terms(first: Path, second: Path, terms: Path, as_json: bool) -> None:
    from medstt.evaluate.run import open_run
    from medstt.evaluate.taught import format_taught, open_terms, score_terms

    lexicons = open_terms(terms)
    runs = open_run(first), open_run(second)
    one, two = (score_terms(run, lexicons) for run in runs)
    if as_json:
        found = {
            name: {"terms_right": asdict(score.recall), "false_insertions": asdict(score.false_insertions)}
            for name, score in (("first", one), ("second", two))
        }
        print(json.dumps(found, indent=1))
        return
    print(format_taught(*runs, one, two))
