from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medstt.cli import compare, evaluate, gate, leaderboard, report
from medstt.errors import DataError, OptionError
from medstt.evaluate.external import TranscriptFolder
from medstt.evaluate.item import read_items
from medstt.manifest import write_manifest
from medstt.values import Utterance

BENCHMARK = """
name = "quiet"
version = 1
title = "Nobody speaks"
metrics = ["invented"]

[[sets]]
name = "made"
nonspeech = { count = 12, seconds = 0.3 }
"""
GATE = """
version = 1
worse_share = 10.0
p95_ratio = 1000000.0

[[rules]]
rate = "invented"
benchmarks = ["BENCHMARK"]
margin = 1.0
ceiling = 40.0
events = 12
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDSTT_HOME", str(tmp_path / "home"))
    (tmp_path / "quiet.toml").write_text(BENCHMARK)
    (tmp_path / "gate.toml").write_text(GATE.replace("BENCHMARK", str(tmp_path / "quiet.toml")))
    return tmp_path


def run(module: object, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(module.app, list(arguments), catch_exceptions=False)  # type: ignore[attr-defined]
    return result.exit_code, result.stdout


def test_evaluate_compare_report_and_leaderboard_work_on_one_manifest(home: Path) -> None:
    utterances = [
        Utterance("a", "a.wav", "no fever", "en", tags={"tier": "trained"}),
        Utterance("b", "b.wav", "links kein Erguss", "de", tags={"tier": "trained"}),
    ]
    write_manifest(home / "m.jsonl", utterances)
    for name, texts in (("good", ("no fever", "links kein Erguss")), ("bad", ("fever", "rechts kein Erguss"))):
        (home / name).mkdir()
        for utterance, text in zip(utterances, texts, strict=True):
            (home / name / f"{utterance.id}.txt").write_text(text)
        code, out = run(
            evaluate,
            f"transcripts:{home / name}",
            "--manifest",
            str(home / "m.jsonl"),
            "--out",
            str(home / f"run-{name}"),
        )
        assert code == 0
        assert "WER" in out
    code, out = run(evaluate, str(home / "run-bad"), "--rescore", "--json")
    assert code == 0
    assert json.loads(out)["pools"]["synthetic"]["rates"]["critical_negation"]["errors"] == 1
    code, out = run(compare, str(home / "run-good"), str(home / "run-bad"))
    assert code == 0
    assert out.index("Negation") < out.index("WER")
    assert "0 better, 0 same, 2 worse" in out
    code, out = run(report, str(home / "run-bad"), "--against", str(home / "run-good"))
    assert code == 0
    assert "Erguss" not in (home / "run-bad" / "report.html").read_text()


def test_several_benchmarks_and_systems_in_one_command(home: Path) -> None:
    other = home / "other.toml"
    other.write_text((home / "quiet.toml").read_text().replace('"quiet"', '"other"'))
    code, _ = run(
        evaluate, "command:true {audio}", "--also", "command:echo thanks {audio}", "--benchmark",
        str(home / "quiet.toml"), str(other), "--out", str(home / "all"),
    )  # fmt: skip
    assert code == 0
    assert len(list((home / "all").glob("*/*/scores.json"))) == 4
    with pytest.raises(OptionError, match="unexpected 'b'"):
        run(evaluate, "a", "b", "--manifest", str(home / "m.jsonl"))


def test_transcripts_that_do_not_match_the_manifest_are_named(home: Path) -> None:
    write_manifest(home / "m.jsonl", [Utterance(name, f"{name}.wav", "no fever", "en") for name in ("a", "b", "c")])
    lines = home / "t.jsonl"
    lines.write_text('{"id": "a", "text": "no fever"}\n{"id": "z", "text": "no"}\n')
    system = TranscriptFolder.open(lines)
    requests = [item.request for item in read_items(home / "m.jsonl")]
    assert system.mismatch(requests) == (
        "2 of 3 utterances have no transcript (b, c); 1 of 2 transcripts have no utterance (z)"
    )
    code, out = run(evaluate, f"transcripts:{lines}", "--manifest", str(home / "m.jsonl"), "--out", str(home / "run"))
    assert (code, "2 FAILED (not scored)" in out) == (1, True)
    lines.write_text('{"id": "y", "text": "no"}\n')
    with pytest.raises(DataError, match=r"3 of 3 utterances have no transcript"):
        run(evaluate, f"transcripts:{lines}", "--manifest", str(home / "m.jsonl"), "--out", str(home / "run2"))


def test_the_gate_refuses_a_system_that_invents_words_and_passes_a_silent_one(home: Path) -> None:
    options = ["--config", str(home / "gate.toml"), "--champion", "none"]
    code, out = run(gate, "command:true {audio}", *options)
    assert (code, "PASSED" in out) == (0, True)
    code, out = run(gate, "command:echo thank you {audio}", *options)
    assert (code, "REFUSED" in out) == (1, True)
    code, out = run(
        gate, "command:echo thank you {audio}", *options[:2], "--champion", "command:true {audio}", "--json"
    )
    assert code == 1
    assert json.loads(out)["passed"] is False
    code, out = run(leaderboard, "--out", str(home / "board.md"))
    assert code == 0
    assert run(leaderboard, "--out", str(home / "board.md"), "--check")[0] == 0
    (home / "board.md").write_text("old")
    assert run(leaderboard, "--out", str(home / "board.md"), "--check")[0] == 1


def test_references_that_three_runs_agree_against_are_listed(home: Path) -> None:
    write_manifest(home / "m.jsonl", [Utterance("a", "a.wav", "he has know fever", "en")])
    for name, text in (("one", "he has no fever"), ("two", "he has no fever"), ("three", "he has now fever")):
        (home / name).mkdir()
        (home / name / "a.txt").write_text(text)
        run(
            evaluate, f"transcripts:{home / name}", "--manifest", str(home / "m.jsonl"), "--out", str(home / f"r{name}")
        )
    runs = [str(home / name) for name in ("rone", "rtwo")]
    _, out = run(compare, *runs, "--audit", "--also", str(home / "rthree"), "--json")
    assert [(d["reference"], d["heard"], d["systems"], d["of"]) for d in json.loads(out)] == [("know", "no", 2, 3)]
    with pytest.raises(OptionError, match="--also goes with --audit"):
        run(compare, *runs, "--also", str(home / "rthree"))
