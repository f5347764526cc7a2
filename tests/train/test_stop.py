"""Early stopping reads the log: a killed run stops where an unbroken one would have."""

from __future__ import annotations

import json
from pathlib import Path

from medstt.train.stop import DEV_SCORE, resume_stop


def test_it_stops_after_patience_scores_without_a_better_one(tmp_path: Path) -> None:
    scores = {10: 0.5, 20: 0.4, 30: 0.45, 40: 0.41}
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({"step": step, DEV_SCORE: score}) + "\n" for step, score in scores.items()))
    assert resume_stop(2, log, 40).stopped
    assert resume_stop(2, log, 40).best_step == 20
    assert not resume_stop(3, log, 40).stopped
    assert not resume_stop(0, log, 40).stopped


def test_scores_after_the_checkpoint_and_a_cut_line_do_not_count(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 10, "dev score": 0.5}\n{"step": 20, "dev score": 0.6}\n{"step": 30, "dev')
    stop = resume_stop(1, log, 10)
    assert not stop.stopped
    assert (stop.best, stop.last_step) == (0.5, 10)
    assert not resume_stop(1, tmp_path / "none.jsonl", 10).stopped
