"""`medstt data`: import, check and split one after the other; nothing of the texts in reports."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from medstt.cli.data import app
from medstt.errors import OptionError
from medstt.manifest import read_manifest

TEXTS = (
    "the lungs are clear",
    "there is no pleural effusion",
    "heart size is normal",
    "seen by mister carterman today",
)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    time_s = np.arange(2 * 16_000) / 16_000
    rng = np.random.default_rng(1)
    for number, text in enumerate(TEXTS):
        gate = np.clip(3 * np.sin(2 * np.pi * 3 * time_s), 0, 1)
        samples = 0.3 * gate * np.sin(2 * np.pi * (150 + number) * time_s) + 1e-3 * rng.standard_normal(len(time_s))
        path = tmp_path / "in" / f"speaker{number}" / "clip.wav"
        path.parent.mkdir(parents=True)
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(16_000)
            out.writeframes((samples * 32767).astype("<i2").tobytes())
        path.with_suffix(".txt").write_text(text)
    return tmp_path / "in"


def invoke(*arguments: str | Path) -> int:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False).exit_code


def test_import_check_split(recordings: Path, tmp_path: Path) -> None:
    imported, checked, split = (tmp_path / name for name in ("imported", "checked", "split"))
    assert invoke("import", recordings, "--out", imported, "--language", "en", "--consent") == 0
    assert invoke("check", imported / "manifest.jsonl", "--out", checked, "--jobs", "1") == 0
    kept = read_manifest(checked / "manifest.jsonl")
    (held,) = read_manifest(checked / "quarantine.jsonl")
    assert [row.text for row in kept] == list(TEXTS[:3])
    assert held.tags["quarantine"] == "identifier"
    assert all((checked / row.audio).exists() for row in [*kept, held])
    for name in ("report.json", "report.md", "report.html", "result.json"):
        content = (checked / name).read_text()
        assert "carterman" not in content
        assert "pleural" not in content
    result = json.loads((checked / "result.json").read_text())
    assert (result["outputs"]["kept"], result["outputs"]["issues"]) == (3, {"identifier": 1})
    assert invoke("split", checked / "manifest.jsonl", "--out", split, "--dev", "0.3", "--test", "0.3") == 0
    rows = read_manifest(split / "manifest.jsonl")
    assert sorted(row.split for row in rows) == ["dev", "test", "train"]
    assert all((split / row.audio).exists() for row in rows)


def test_without_consent_nothing_is_kept(recordings: Path, tmp_path: Path) -> None:
    assert invoke("import", recordings, "--out", tmp_path / "a", "--language", "en") == 0
    assert invoke("check", tmp_path / "a" / "manifest.jsonl", "--out", tmp_path / "b", "--jobs", "1") == 1
    assert len(read_manifest(tmp_path / "b" / "quarantine.jsonl")) == 4


def test_a_manifest_is_never_overwritten_by_its_check(recordings: Path, tmp_path: Path) -> None:
    assert invoke("import", recordings, "--out", tmp_path / "a", "--language", "en") == 0
    for command in ("check", "split"):
        with pytest.raises(OptionError, match="would be overwritten"):
            invoke(command, tmp_path / "a" / "manifest.jsonl", "--out", tmp_path / "a")
