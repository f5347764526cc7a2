"""The audit of dependencies where nothing can be reached: it fails and says that nothing was checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_an_audit_that_checked_nothing_fails_and_says_so() -> None:
    nowhere = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
    found = subprocess.run(
        ["sh", str(ROOT / "scripts" / "audit")], capture_output=True, text=True, env=nowhere, check=False
    )
    assert found.returncode == 2, found
    assert "audit: nothing was checked" in found.stderr
