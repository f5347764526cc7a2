"""The gate on what the shipped model hears: it passes against itself, and not with every second "no" gone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medstt.cli import gate
from medstt.cli.evaluate import benchmark_task, evaluate_task
from medstt.evaluate.run import open_run
from medstt.evaluate.system import SystemOptions, open_system

GATE = """
version = 1
worse_share = 100.0
p95_ratio = 1000000.0

[[rules]]
rate = "critical_negation"
benchmarks = ["critical"]
margin = 1.0
ceiling = 5.0
"""
NO = re.compile(r"\b(no|not|without|never|denies|keine?n?|nicht|ohne|niemals) ?", re.IGNORECASE)


def drop_every_second(texts: dict[str, str]) -> dict[str, str]:
    seen = 0

    def drop(match: re.Match[str]) -> str:
        nonlocal seen
        seen += 1
        return "" if seen % 2 else match.group()

    return {key: NO.sub(drop, text) for key, text in texts.items()}


def write_texts(path: Path, texts: dict[str, str]) -> str:
    path.write_text("".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in texts.items()))
    return f"transcripts:{path}"


@pytest.mark.slow
def test_a_model_that_drops_every_second_no_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSTT_HOME", str(tmp_path / "home"))
    (tmp_path / "gate.toml").write_text(GATE)
    home = tmp_path / "home"
    system = open_system("medstt-mini", SystemOptions(home=home))
    folder = evaluate_task(benchmark_task("critical", home, {}, None), "medstt-mini", system, home, 1)
    texts = {key: answer.reply.text for key, answer in open_run(folder).answers().items() if answer.reply}

    def judge(challenger: str) -> tuple[int, str]:
        options = ["--champion", "medstt-mini", "--config", str(tmp_path / "gate.toml")]
        found = CliRunner().invoke(gate.app, [challenger, *options], catch_exceptions=False)
        return found.exit_code, found.stdout

    code, out = judge(write_texts(tmp_path / "same.jsonl", texts))
    assert (code, "PASSED" in out) == (0, True), out
    code, out = judge(write_texts(tmp_path / "bad.jsonl", drop_every_second(texts)))
    assert (code, "REFUSED" in out) == (1, True), out
    assert "Negation lost or gained" in out
