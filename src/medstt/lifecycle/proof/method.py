"""One method carried out: its recipe with the plan's changes, trained, exported, once; resumable.

Knows nothing of tests or tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from medstt.disk import write_atomically
from medstt.lifecycle.proof.material import OWN
from medstt.lifecycle.proof.plan import Method, Plan
from medstt.registry.resolve import ResolvedModel
from medstt.train.export import WEIGHTS
from medstt.train.finish import finish, make_card
from medstt.train.loop import LOG
from medstt.train.recipe import DataSource, Recipe, read_recipe
from medstt.train.run import EXPORT, Places, recipe_digest, run
from medstt.train.stop import read_log

TRAINED = "trained.json"
Watch = Callable[[Path, int], AbstractContextManager[object]]  # log of a run and its steps -> what shows it


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run of one method: where its export is, what it took. ``seconds`` are those of its steps."""

    recipe: str
    steps: int
    seconds: float
    size_bytes: int


def quiet(row: dict[str, float]) -> None:
    """Take a report; the log is followed instead (picklable, for several processes)."""


def method_recipe(plan: Plan, method: Method, folder: Path, own: str = OWN, share: float = 1.0) -> Recipe:
    """Return a method's recipe for a plan.

    ``own`` is the manifest of what is taught; its weight is divided by ``share``, the part of the whole it holds, so
    that little data is heard as often in a run as much.
    """
    recipe = read_recipe(folder / method.recipe, method.set)
    sources = [
        DataSource(manifest=own, weight=source.weight / share) if source.manifest == OWN else source
        for source in recipe.train
    ]
    changes = {"base": plan.base, "steps": plan.steps, "seed": plan.seed, "train": sources, "dev_steps": plan.steps}
    changes |= {"processes": plan.processes} if plan.processes else {}
    return recipe.model_copy(update=changes)


def carry_out(recipe: Recipe, base: ResolvedModel, places: Places, jobs: int, watch: Watch) -> Trained:
    """Train and export a recipe unless that is done; the export lies in the run's folder."""
    marker = places.run / TRAINED
    if marker.exists():
        done = Trained(**json.loads(marker.read_text(encoding="utf-8")))
        if done.recipe == recipe_digest(recipe):
            return done
    with watch(places.run / LOG, recipe.steps):
        model, tokenizer = run(recipe, places, base.path, jobs=jobs, report=quiet)
    export = places.run / EXPORT
    finish(model, tokenizer, make_card(recipe, places, base.name, {}), export, None)
    done = Trained(
        recipe_digest(recipe), recipe.steps, round(step_seconds(places.run / LOG, recipe.accumulate), 1),
        (export / WEIGHTS).stat().st_size,
    )  # fmt: skip
    write_atomically(marker, json.dumps(asdict(done), indent=1) + "\n")
    return done


def step_seconds(log: Path, accumulate: int) -> float:
    """Return the wall time of a run's steps from its log; steps done again after a kill count once."""
    rows = {int(row["step"]): row["seconds_per_step"] for row in read_log(log) if "seconds_per_step" in row}
    total, last = 0.0, 0
    for step in sorted(rows):
        total += rows[step] * (step - last) * accumulate
        last = step
    return total
