"""`medstt train`: carry out a recipe, export, register.

Owns the progress bar and `result.json`. Knows nothing of how training works.
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
) -> None:
    """Train, or go on with a run that was interrupted; the same command resumes it."""
    from medstt.registry import ModelStore, resolve_model
    from medstt.service import read_settings
    from medstt.train.finish import finish, make_card
    from medstt.train.recipe import read_recipe
    from medstt.train.run import EXPORT, Places, run

    settings = read_settings()
    plan = read_recipe(recipe, set_)
    places = Places(data, settings.home / "cache" / "features", run_folder or settings.home / "runs" / plan.name)
    base = resolve_model(plan.base, settings.home) if plan.base else None
    model, tokenizer = run(plan, places, base.path if base else None, jobs=jobs, report=print_row)
    parent = base.name if base else None
    card = make_card(plan, places, parent, last_scores(places.run / "log.jsonl"))
    store = ModelStore(settings.home / "models") if register else None
    registered = finish(model, tokenizer, card, places.run / EXPORT, store)
    result: dict[str, Any] = {
        "recipe": card.recipe, "data": card.data, "parent": parent, "export": str(places.run / EXPORT),
        "version": registered.label if registered else None, "digest": registered.digest if registered else None,
    }  # fmt: skip
    (places.run / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    print(registered.label if registered else places.run / EXPORT)


def print_row(row: dict[str, float]) -> None:
    """Print one report of a run on stderr (called in the training process)."""
    print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), file=sys.stderr, flush=True)


def last_scores(log: Path) -> dict[str, float]:
    """Return the last dev scores of a run's log."""
    scores: dict[str, float] = {}
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        row = json.loads(line)
        found = {name: value for name, value in row.items() if name.startswith("dev")}
        scores = found or scores
    return scores
