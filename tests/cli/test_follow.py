"""The display of a training run follows its log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medstt.cli.follow import RunDisplay


def test_reports_written_while_it_follows_are_shown_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({"step": 50, "loss": 9.0}) + "\n")  # of an earlier part of the run
    with RunDisplay(log, 200), log.open("a") as out:
        out.write(json.dumps({"step": 100, "loss": 2.0}) + "\n")
        out.write('{"step": 150, ')
    assert capsys.readouterr().err == "step 100  loss 2\n"


def test_time_left_follows_the_steps_seen(tmp_path: Path) -> None:
    display = RunDisplay(tmp_path / "log.jsonl", 3000)
    display.take({"step": 100, "loss": 2.0, "seconds_per_step": 2.0}, 1000.0)
    assert display.fields == {"loss": "loss 2", "dev": "", "left": "1:36:40 left"}
    display.take({"step": 200, "dev score": 0.25}, 1100.0)
    assert display.fields == {"loss": "loss 2", "dev": "dev 0.25", "left": "46:40 left"}
