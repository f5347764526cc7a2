"""What docs/service.md tells people to type, typed: its curl and Python blocks against the real program."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def blocks(language: str) -> list[str]:
    text = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def documented(program: Callable[..., Any]) -> Any:
    with program() as server:
        yield server


def test_the_documented_calls_work_as_they_stand(documented: Any) -> None:
    home = "http://127.0.0.1:8000"
    curls = [block for block in blocks("sh") if "curl" in block]
    pythons = blocks("python")
    assert (len(curls), len(pythons)) == (2, 2)
    for script in curls:
        command = ["sh", "-eu", "-c", f"KEY={documented.key}\n" + script.replace(home, documented.url)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert "The patient is well" in done.stdout, done.stdout
    for script in pythons:
        code = f"KEY = {documented.key!r}\n" + script.replace(home, documented.url)
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "The patient is well" in done.stdout, done.stdout
