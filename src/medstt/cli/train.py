"""`medstt train`: carry out a recipe, export, register, record.

Owns `result.json`. Knows nothing of how training works.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Train or fine-tune a model by a recipe, export and register it.", add_completion=False)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (TOML); training/recipes holds examples.")],
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe.")] = [],  # noqa: B006
    data: Annotated[Path, typer.Option(help="Folder that the recipe's manifests are relative to.")] = Path("."),
    run_folder: Annotated[
        Path | None, typer.Option("--run", help="The run's own folder; default: HOME/runs/NAME.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that compute features.")] = 2,
    register: Annotated[bool, typer.Option(help="Add the finished model to the registry.")] = True,
    mlflow: Annotated[bool, typer.Option(help="Record the run and its version in MLflow.")] = True,
) -> None:
    """Train, or go on with a run that was interrupted; the same command resumes it."""
    from medstt.cli.follow import RunDisplay, no_report
    from medstt.registry import ModelStore, resolve_model
    from medstt.service import read_settings
    from medstt.train.finish import finish, make_card
    from medstt.train.loop import LOG
    from medstt.train.recipe import read_recipe
    from medstt.train.run import EXPORT, Places, run

    settings = read_settings()
    plan = read_recipe(recipe, set_)
    places = Places(data, settings.home / "cache" / "features", run_folder or settings.home / "runs" / plan.name)
    base = resolve_model(plan.base, settings.home) if plan.base else None
    with RunDisplay(places.run / LOG, plan.steps):
        model, tokenizer = run(plan, places, base.path if base else None, jobs=jobs, report=no_report)
    parent = base.name if base else None
    card = make_card(plan, places, parent, last_scores(places.run / LOG))
    store = ModelStore(settings.home / "models") if register else None
    registered = finish(model, tokenizer, card, places.run / EXPORT, store)
    result: dict[str, Any] = {
        "recipe": card.recipe, "data": card.data, "parent": parent, "export": str(places.run / EXPORT),
        "version": registered.label if registered else None, "digest": registered.digest if registered else None,
        "recipe_values": card.extra["recipe_values"],
    }  # fmt: skip
    (places.run / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    if mlflow:
        record(places.run, settings.mlflow_uri, settings.home, registered)
    print(registered.label if registered else places.run / EXPORT)


def record(run: Path, uri: str, home: Path, registered: Any) -> None:
    """Record a run, and its version if there is one, in MLflow; where that fails both stand, and a line says so."""
    from medstt.errors import MedsttError
    from medstt.registry.mlflow import default_uri, mirror_version, record_run

    try:
        record_run(run, uri or default_uri(home))
        if registered is not None:
            mirror_version(registered, uri or default_uri(home))
    except MedsttError as error:
        print(f"medstt: not recorded: {error}", file=sys.stderr)


def last_scores(log: Path) -> dict[str, float]:
    """Return the last dev scores of a run's log."""
    from medstt.train.stop import read_log

    scores: dict[str, float] = {}
    for row in read_log(log):
        found = {name: value for name, value in row.items() if name.startswith("dev")}
        scores = found or scores
    return scores
