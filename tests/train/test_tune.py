"""A search carried out, killed, and gone on with."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from small_set import make_set

from medstt.errors import DataError, OptionError
from medstt.train import tune as module
from medstt.train.recipe import DataSource, Recipe, Shape
from medstt.train.run import Places
from medstt.train.space import Range, Space
from medstt.train.stop import DEV_SCORE
from medstt.train.tune import FOLDER, TRIALS, open_study, report_score, tune

TINY = Shape(
    d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64, decoder_layers=1,
    decoder_attention_heads=2, decoder_ffn_dim=64, vocabulary=300,
)  # fmt: skip
SPACE = Space(trials=2, space={"learning_rate": Range(low=1e-4, high=1e-2, log=True)})


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "name": "tones", "steps": 2, "warmup": 1, "frames": 1200, "checkpoint_steps": 2, "dev_steps": 2, "shape": TINY,
        "train": [DataSource(manifest="manifest.jsonl")], "dev": [DataSource(manifest="manifest.jsonl")],
    }  # fmt: skip
    return Recipe.model_validate(values | changes)


def test_a_killed_search_goes_on_with_the_trial_in_hand(tmp_path: Path) -> None:
    make_set(tmp_path, 4)
    places = Places(tmp_path, tmp_path / "cache", tmp_path / "search")
    places.run.mkdir()
    study = open_study(places.run)  # as a kill in the first trial leaves it
    stale = study.ask()
    stale.set_user_attr(FOLDER, "0000")
    module.suggest(stale, SPACE)
    rows = tune(recipe(), SPACE, places, None, jobs=1, dev_count=2)
    assert (rows[0].name, rows[0].state) == ("0000", "complete")
    assert rows[0].values == stale.params
    assert len(rows) == 2
    assert rows[0].values != rows[1].values
    assert all(row.scores and row.score == row.scores[-1][1] for row in rows)
    kept = [row.name for row in rows if (places.run / TRIALS / row.name / "checkpoint.pt").exists()]
    assert len(kept) == 1
    assert tune(recipe(), SPACE, places, None, jobs=1, dev_count=2) == rows  # nothing is left to do
    with pytest.raises(OptionError, match="another recipe"):
        tune(recipe(seed=9), SPACE, places, None, jobs=1)


def test_a_trial_worse_than_the_median_is_ended(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    for _ in range(module.RANDOM_TRIALS):
        good = study.ask()
        good.report(0.1, 10)
        study.tell(good, 0.1)
    worse = study.ask()
    report_score(tmp_path, worse._trial_id, DEV_SCORE, True, {"step": 5, "loss": 1.0})
    with pytest.raises(module.Pruned, match=r"0\.9 at step 10"):
        report_score(tmp_path, worse._trial_id, DEV_SCORE, True, {"step": 10, DEV_SCORE: 0.9})
    assert study.trials[-1].user_attrs[module.PRUNED]
    assert study.trials[-1].state == optuna.trial.TrialState.RUNNING


def test_a_search_needs_a_dev_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dev manifest"):
        tune(recipe(dev=[]), SPACE, Places(tmp_path, tmp_path, tmp_path / "search"), None)
