"""A fine-tune of the shipped model by the recipe for one's own speech: five minutes on two cores."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medstt.cli.synth import app
from medstt.cli.train import app as train_app
from medstt.manifest import read_manifest, write_manifest
from medstt.train.loop import LOG
from medstt.train.stop import DEV_SCORE, read_log

RECIPE = Path(__file__).parents[2] / "training" / "recipes" / "own.toml"
TERMS = ("agomelatine", "bilastine", "candesartan", "duloxetine", "entacapone", "famotidine")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_fine_tune_of_the_shipped_model_takes_less_than_six_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("espeakng_loader")
    monkeypatch.setenv("MEDSTT_HOME", str(tmp_path / "home"))
    (tmp_path / "terms.txt").write_text("\n".join(TERMS) + "\n")
    speech = tmp_path / "speech"
    made = [
        "--terms",
        str(tmp_path / "terms.txt"),
        "--language",
        "en",
        "--per-term",
        "30",
        "--out",
        str(speech / "own"),
    ]
    assert CliRunner().invoke(app, made, catch_exceptions=False).exit_code == 0
    rows = read_manifest(speech / "own" / "manifest.jsonl")
    write_manifest(speech / "own" / "dev.jsonl", rows[:24])
    write_manifest(speech / "own" / "train.jsonl", rows[24:])
    started = time.monotonic()
    settings = [
        "base=medstt-mini", "steps=140", "warmup=10", "dev_steps=70", "checkpoint_steps=70",
        'train=[{manifest="own/train.jsonl"}]', 'dev=[{manifest="own/dev.jsonl"}]',
    ]  # fmt: skip
    flags = [part for setting in settings for part in ("--set", setting)]
    arguments = [str(RECIPE), *flags, "--data", str(speech), "--run", str(tmp_path / "run"), "--no-mlflow"]
    assert CliRunner().invoke(train_app, arguments, catch_exceptions=False).exit_code == 0
    assert time.monotonic() - started < 360
    log = list(read_log(tmp_path / "run" / LOG))
    losses = [row["loss"] for row in log if "loss" in row]
    assert losses[-1] < losses[0]
    scores = [row[DEV_SCORE] for row in log if DEV_SCORE in row]
    assert len(scores) == 2
    assert scores[1] <= scores[0]
    assert max(row["waiting_share"] for row in log if "waiting_share" in row) < 0.5
