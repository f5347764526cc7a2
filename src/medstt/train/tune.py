"""A recipe's best settings within a declared space: Optuna's trials, kept in SQLite, pruned, resumed after a kill.

Every trial is a run of its own in ``FOLDER/trials/NUMBER``. Knows nothing of registries or command lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from medstt.errors import DataError, OptionError, ResourceError
from medstt.train.loop import BEST, CHECKPOINT, LOG
from medstt.train.recipe import Recipe, merge, parse_recipe
from medstt.train.run import Places, locked, present, recipe_digest, run
from medstt.train.space import Range, Space, Value, set_key
from medstt.train.stop import read_log
from medstt.train.trial import State, Trial, best_trial

if TYPE_CHECKING:
    import optuna

STUDY = "study.db"
RANDOM_TRIALS = 5  # before the sampler begins to learn, and before anything is pruned
TRIALS = "trials"  # folder of the runs
FOLDER, ERROR, PRUNED = "folder", "error", "pruned"  # a trial's attributes in the study


class Pruned(Exception):
    """A trial that is worse than the others were at the same step."""


def storage_url(folder: Path) -> str:
    """Return the URL of a tuning's SQLite file."""
    return f"sqlite:///{(folder / STUDY).resolve()}"


def report_score(folder: Path, trial_id: int, metric: str, prune: bool, row: dict[str, float]) -> None:
    """Tell a study the score in a report, if there is one; raises Pruned. Called in the process that trains."""
    if metric not in row:
        return
    import optuna

    study = open_study(folder)
    trial = optuna.trial.Trial(study, trial_id)
    trial.report(row[metric], int(row["step"]))
    if prune and trial.should_prune():
        trial.set_user_attr(PRUNED, True)
        raise Pruned(f"{metric} {row[metric]:.4g} at step {int(row['step'])}")


def open_study(folder: Path) -> optuna.Study:
    """Return the study of a folder, made if there is none; its figures are made small."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=RANDOM_TRIALS)
    return optuna.create_study(storage=storage_url(folder), study_name="tune", load_if_exists=True, pruner=pruner)


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Value]:
    """Return a value for every key of the space."""
    return {key: _suggest(trial, key, span) for key, span in space.space.items()}


def _suggest(trial: optuna.Trial, key: str, span: Range) -> Value:
    if span.choices is not None:
        chosen: Value = trial.suggest_categorical(key, span.choices)
        return chosen
    assert span.low is not None
    assert span.high is not None
    whole = isinstance(span.low, int) and isinstance(span.high, int) and not isinstance(span.step, float)
    if whole:
        return int(trial.suggest_int(key, span.low, span.high, step=span.step or 1, log=span.log))
    return float(trial.suggest_float(key, span.low, span.high, step=span.step, log=span.log))


def tune(
    recipe: Recipe,
    space: Space,
    places: Places,
    base: Path | None,
    *,
    jobs: int = 2,
    dev_count: int = 60,
    ended: Callable[[Trial], None] = lambda row: None,
) -> list[Trial]:
    """Carry out the trials that are still missing; returns all of them, in order.

    ``places.run`` is the tuning's folder. After a kill the trial in hand goes on from its checkpoint. Raises DataError
    without a dev manifest, OptionError where the folder holds a tuning of another recipe or space, ResourceError when
    every trial so far has failed.
    """
    import optuna

    if not present(recipe.dev, places):
        raise DataError(f"recipe {recipe.name}: no dev manifest is there", "Trials are compared on one; add [[dev]]")
    with locked(places.run):
        study = open_study(places.run)
        _check_same(study, recipe, space)
        for stale in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            _requeue(study, stale)
        while len(rows := _ended(study, places.run, space.metric)) < space.trials:
            # A sampler of its own for each trial: an interrupted tuning draws what an unbroken one would have.
            seed = space.seed * 1009 + len(rows)
            study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
            _carry_out(study, recipe, space, places, base, jobs, dev_count)
            rows = _ended(study, places.run, space.metric)
            ended(rows[-1])
            _remove_weights(rows, places.run)
            if len(rows) >= 3 and all(row.state == "failed" for row in rows):
                raise ResourceError("every trial has failed", "Train the recipe once with `medstt train` to see why")
        return rows


def _check_same(study: optuna.Study, recipe: Recipe, space: Space) -> None:
    known = {"recipe": recipe_digest(recipe), "space": space.model_dump_json(exclude={"trials"})}
    before = {key: study.user_attrs[key] for key in known if key in study.user_attrs}
    if before and before != known:
        changed = " and ".join(key for key in known if before.get(key) != known[key])
        raise OptionError(f"this folder holds a tuning with another {changed}", "Give another --run folder")
    for key, value in known.items():
        study.set_user_attr(key, value)


def _requeue(study: optuna.Study, stale: optuna.trial.FrozenTrial) -> None:
    """Put a trial that a kill interrupted back in front, with its folder; the old entry fails without a reason."""
    import optuna

    folder = stale.user_attrs.get(FOLDER, f"{stale.number:04}")
    study.tell(stale.number, state=optuna.trial.TrialState.FAIL)
    study.enqueue_trial(stale.params, user_attrs={FOLDER: folder})


def _carry_out(
    study: optuna.Study, recipe: Recipe, space: Space, places: Places, base: Path | None, jobs: int, dev_count: int
) -> None:
    """Draw a trial's values, train, and tell the study how it ended."""
    import optuna

    state = optuna.trial.TrialState
    trial = study.ask()
    values = suggest(trial, space)
    folder = trial.user_attrs.get(FOLDER, f"{trial.number:04}")
    trial.set_user_attr(FOLDER, folder)
    where = Places(places.data, places.cache, places.run / TRIALS / folder)
    report = partial(report_score, places.run, trial._trial_id, space.metric, space.prune)
    try:
        plan = apply(recipe, values)
        run(plan, where, base, jobs=jobs, report=report, dev_count=dev_count)
        score = final_score(where.run / LOG, space.metric, plan)
    except (ResourceError, DataError) as error:
        trial.set_user_attr(ERROR, str(error))
        study.tell(trial, state=state.FAIL)
    except Exception:  # of several processes the parent sees no Pruned, but the study knows
        if not study.get_trials()[trial.number].user_attrs.get(PRUNED):
            raise
        study.tell(trial, state=state.PRUNED)
    else:
        study.tell(trial, score)


def apply(recipe: Recipe, values: Mapping[str, Value]) -> Recipe:
    """Return the recipe with a trial's values."""
    data = recipe.model_dump()
    for key, value in values.items():
        data = merge(data, set_key(key, value))
    return parse_recipe(data, recipe.name)


def final_score(log: Path, metric: str, recipe: Recipe) -> float:
    """Return a run's last score, or its best where it keeps the best weights; raises DataError if there is none."""
    scores = [score for _, score in read_scores(log, metric)]
    if not scores or not math.isfinite(scores[-1]):
        figures = sorted({name for row in read_log(log) for name in row})
        raise DataError(f"a trial reported no finite {metric!r}", f"Set tune.metric to one of: {', '.join(figures)}")
    return min(scores) if recipe.patience else scores[-1]


def read_scores(log: Path, metric: str) -> tuple[tuple[int, float], ...]:
    """Return (step, score) of a run's log; of a step scored twice the last."""
    found = {int(row["step"]): float(row[metric]) for row in read_log(log) if metric in row}
    return tuple(sorted(found.items()))


def list_trials(folder: Path, metric: str) -> list[Trial]:
    """Return the trials of a tuning that have ended, in order."""
    return _ended(open_study(folder), folder, metric)


def _ended(study: optuna.Study, folder: Path, metric: str) -> list[Trial]:
    names: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    rows = []
    for trial in study.get_trials():
        if trial.state.name not in names or (trial.state.name == "FAIL" and ERROR not in trial.user_attrs):
            continue
        name = trial.user_attrs[FOLDER]
        scores = read_scores(folder / TRIALS / name / LOG, metric)
        score = trial.value if trial.state.name == "COMPLETE" else (scores[-1][1] if scores else None)
        seconds = trial.duration.total_seconds() if trial.duration else 0.0
        rows.append(Trial(name, names[trial.state.name], score, seconds, dict(trial.params), scores))
    return rows


def _remove_weights(rows: list[Trial], folder: Path) -> None:
    """Delete the weights of all ended trials but the best."""
    best = best_trial(rows)
    for row in rows:
        if row is not best:
            for name in (CHECKPOINT, BEST):
                (folder / TRIALS / row.name / name).unlink(missing_ok=True)
