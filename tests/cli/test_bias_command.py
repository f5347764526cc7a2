"""The commands about listening for names, from a manifest to card and report, on a model that only says syllables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_model import write_tiny_model
from typer.testing import CliRunner

from medstt.cli.app import app
from medstt.evaluate.listening import is_absent
from medstt.values import RATE_HZ
from medstt.vocab import load_lexicon
from medstt.vocab.holdout import is_held_out


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("bias") / "tiny")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of noise for each group of names, in English."""
    folder = tmp_path_factory.mktemp("speech")
    drugs = [term for term in load_lexicon("en") if term.kind == "drug" and term.text.isalpha()]
    heard = next(drug.text for drug in drugs if not is_held_out(drug.en or drug.text))
    never = next(drug.text for drug in drugs if is_held_out(drug.en or drug.text) and not is_absent(drug.text))
    rows = []
    for number, text in enumerate([f"continue {heard}", f"stop {never}", "the patient is well", "no pain"]):
        noise = np.random.default_rng(number).standard_normal(2 * RATE_HZ) * 0.1
        soundfile.write(folder / f"{number}.wav", noise.astype(np.float32), RATE_HZ)
        rows.append({"id": f"u{number}", "audio": f"{number}.wav", "text": text, "lang": "en", "speaker": "v"})
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDSTT_HOME", str(tmp_path / "home"))
    return tmp_path


def test_measuring_writes_gains_beside_false_alarms(model: Path, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shown = run("bias", "measure", model, "--manifest", manifest, "--out", out, "--terms", "0,50", "--stock", "none")
    result = json.loads((out / "result.json").read_text())
    assert [row["list"] for row in result["lists"]] == ["0 terms", "50 terms"]
    assert result["lists"][1]["rates"]["never heard"]["drug_miss"]["events"] == 1
    assert result["count"] == 4
    report = (out / "report.md").read_text()
    for part in ("invented terms without drugs", "missed: never heard", "## English", "by voice"):
        assert part in report
    assert str(tmp_path) not in report
    assert "| 50 terms |" in shown


def test_tuning_writes_the_card_unless_it_is_a_dry_run(model: Path, manifest: Path, tmp_path: Path) -> None:
    run("bias", "tune", model, "--manifest", manifest, "--out", tmp_path / "dry", "--dry-run")
    assert "bias" not in json.loads((model / "card.json").read_text())
    run("bias", "tune", model, "--manifest", manifest, "--out", tmp_path / "out")
    card = json.loads((model / "card.json").read_text())
    assert card["name"] == "tiny"
    assert 0 <= card["bias"]["boost"] <= 4
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["chosen"]["boost"] == card["bias"]["boost"]
    assert len(result["tried"]) > 5


def test_a_term_is_tried_with_and_without(model: Path, manifest: Path) -> None:
    shown = run("vocab", "test", "Abacavir", "--audio", manifest.parent / "0.wav", "--model", model, "--language", "en")
    assert [line.split("  ")[0] for line in shown.splitlines() if "heard" in line] == [
        "no names", "vocabulary", "with the term",
    ]  # fmt: skip
