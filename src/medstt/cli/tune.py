"""`medstt tune`: search a recipe's best settings within the space it declares.

Owns the table, the plot and `result.json`. Knows nothing of how trials are drawn.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from medstt.train.trial import Trial

app = typer.Typer(help="Search a recipe's best settings within a declared space.", add_completion=False)


@app.command()
def tune(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (TOML) with a [tune] table.")],
    space: Annotated[Path | None, typer.Option(help="File with the [tune] table, instead of the recipe.")] = None,
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe.")] = [],  # noqa: B006
    data: Annotated[Path, typer.Option(help="Folder that the recipe's manifests are relative to.")] = Path("."),
    run_folder: Annotated[
        Path | None, typer.Option("--run", help="The tuning's own folder; default: HOME/runs/NAME.tune.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, instead of the space's.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that compute features.")] = 2,
) -> None:
    """Carry out trials until there are as many as asked for; the same command goes on after an interruption."""
    from medstt.disk import write_atomically
    from medstt.registry import resolve_model
    from medstt.service import read_settings
    from medstt.train.recipe import read_recipe
    from medstt.train.run import Places, recipe_digest
    from medstt.train.space import read_space
    from medstt.train.trial import best_trial, draw_plot, format_table, override_flags
    from medstt.train.tune import tune

    settings = read_settings()
    plan, wanted = read_recipe(recipe, set_), read_space(recipe, space)
    wanted = wanted.model_copy(update={"trials": trials}) if trials else wanted
    folder = run_folder or settings.home / "runs" / f"{plan.name}.tune"
    places = Places(data, settings.home / "cache" / "features", folder)
    base = resolve_model(plan.base, settings.home) if plan.base else None
    rows = tune(plan, wanted, places, base.path if base else None, jobs=jobs, ended=print_trial)
    table, best = format_table(rows, wanted.metric), best_trial(rows)
    write_atomically(folder / "trials.svg", draw_plot(rows, wanted.metric))
    write_atomically(folder / "trials.md", f"# {plan.name}\n\n![scores by trial](trials.svg)\n\n{table}")
    flags = override_flags(best) if best else []
    result = {
        "recipe": recipe_digest(plan), "trials": len(rows), "metric": wanted.metric, "set": flags,
        "score": best.score if best else None, "best": best.name if best else None,
    }  # fmt: skip
    write_atomically(folder / "result.json", json.dumps(result, indent=2) + "\n")
    print(table)
    if best:
        print(f"medstt train {recipe} " + " ".join(f"--set {flag}" for flag in flags))


def print_trial(trial: Trial) -> None:
    """Print one line of a trial that has ended."""
    score = "no score" if trial.score is None else f"{trial.score:.4f}"
    values = "  ".join(f"{key} {value}" for key, value in trial.values.items())
    print(f"trial {trial.name} {trial.state}: {score}  {values}", file=sys.stderr, flush=True)
