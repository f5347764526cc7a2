"""Fixtures of the command line's tests: a home of one's own, a tiny model, recordings, and `medstt` itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from program import Medstt, Result
from tiny_model import write_tiny_model

from medstt.cli.app import main


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def home(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that keeps converted weights between tests."""
    monkeypatch.setenv("MEDSTT_HOME", str(shared_home))
    return shared_home


@pytest.fixture
def fresh_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDSTT_HOME", str(tmp_path / "fresh-home"))
    return tmp_path / "fresh-home"


@pytest.fixture
def medstt(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Medstt:
    """Run the program in this process and return exit code, stdout and stderr."""

    def run(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["medstt", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return run
