from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from medstt.benchmark.harness import measure_opening, measure_overhead, measure_scoring, write_large_report
from medstt.evaluate.external import CommandSystem
from medstt.evaluate.item import items_of
from medstt.values import Utterance


def test_costs_of_scoring_and_of_the_harness_are_figures(tmp_path: Path) -> None:
    cost = measure_scoring(40, 20)
    assert (cost.utterances, cost.memory_mb > 0, cost.cpu_s > 0) == (40, True, True)
    items = items_of([Utterance(f"u{n}", "a.wav", "no fever", "en") for n in range(3)], tmp_path)
    assert measure_overhead(CommandSystem("echo {audio}", 60), items, 1) > -1.0


def test_a_large_report_is_opened_in_a_browser(tmp_path: Path) -> None:
    pytest.importorskip("playwright.sync_api")
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed")
    write_large_report(60, tmp_path / "report.html")
    assert measure_opening(tmp_path / "report.html", browser) > 0
