"""The results of long tests that are kept in the repository: each names its date, command, seed and outcome."""

from __future__ import annotations

import json
import re
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "serving" / "results"


def test_every_kept_result_says_when_how_and_what() -> None:
    for path in sorted(RESULTS.iterdir()) if RESULTS.is_dir() else ():
        found = json.loads(path.read_text(encoding="utf-8"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"]), path
        assert found["command"], path
        assert found["outcome"] == "passed", f"{path}: a failed run is to be understood, not kept"
