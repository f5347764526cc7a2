"""`medstt synth` from end to end with a program as the voice: files, result.json, refusals."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medstt.cli.synth import app
from medstt.errors import OptionError
from medstt.manifest import digest_manifest, read_manifest

SAY = """
import math, struct, sys, wave
text = sys.stdin.read()
with wave.open(sys.argv[1], "wb") as wav:
    wav.setnchannels(1); wav.setsampwidth(2); wav.setframerate(16000)
    wav.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(i / 9))) for i in range(900 * len(text.split()))))
"""


def test_terms_are_taught(tmp_path: Path) -> None:
    (tmp_path / "say.py").write_text(SAY)
    (tmp_path / "terms.txt").write_text("Zorvexil\n")
    out = tmp_path / "out"
    arguments = ["--terms", str(tmp_path / "terms.txt"), "--language", "en", "--per-term", "3", "--out", str(out)]
    voice = ["--voice-command", f"{sys.executable} {tmp_path / 'say.py'} {{out}}", "--jobs", "1"]
    first = CliRunner().invoke(app, arguments + voice, catch_exceptions=False)
    assert first.exit_code == 0
    assert "3 utterances" in first.stderr
    rows = read_manifest(out / "manifest.jsonl")
    assert len({row.text for row in rows}) == 3
    assert all("Zorvexil" in row.text and row.speaker == "command:en" for row in rows)
    result = json.loads((out / "result.json").read_text())
    assert result["outputs"]["manifest_digest"] == digest_manifest(out / "manifest.jsonl")
    assert result["outputs"]["utterances"] == 3
    assert result["outputs"]["terms_short"] == []
    assert result["inputs"]["terms"]
    assert CliRunner().invoke(app, arguments + voice, catch_exceptions=False).exit_code == 0
    assert json.loads((out / "result.json").read_text()) == result


def test_contradictions_are_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nothing to say"):
        CliRunner().invoke(app, ["--out", str(tmp_path / "out")], catch_exceptions=False)
    (tmp_path / "r.toml").write_text('seed = 1\nvoices = "command"\n')
    with pytest.raises(OptionError, match="--voice-command"):
        CliRunner().invoke(app, [str(tmp_path / "r.toml"), "--out", str(tmp_path / "out")], catch_exceptions=False)
