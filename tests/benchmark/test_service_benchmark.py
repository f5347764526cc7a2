"""The measures of the service and of a fresh process: what is ideal, what a figure says, and small real runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from medstt.benchmark import queue, service, throughput
from medstt.benchmark.figure import Figure, encode_figures, format_figures
from medstt.cli.benchmark import app
from medstt.errors import OptionError


def test_ideal_queueing_is_first_come_first_served() -> None:
    assert service.ideal_waits([10.0], clients=1, workers=1, duration_ms=25) == [10, 10, 10]
    assert service.ideal_waits([10.0], clients=2, workers=1, duration_ms=15)[:3] == [10, 20, 20]
    assert set(service.ideal_waits([10.0], clients=2, workers=2, duration_ms=50)) == {10}


def test_a_figure_is_told_beside_its_target() -> None:
    figures = [Figure("a", "b", 12.5, "ms", 25), Figure("a", "c", 3, "", 0), Figure("a", "d", 1, "s")]
    rows = format_figures(figures).splitlines()[2:]
    assert rows[0] == "| a | b | 12.50 ms | 25 ms | 0.50 | met |"
    assert [one["verdict"] for one in encode_figures(figures)] == ["met", "missed", ""]
    assert rows[2].endswith("|  |  |  |")


def test_unknown_parts_are_refused() -> None:
    for command in ("service", "process"):
        result = CliRunner().invoke(app, [command, "--parts", "nothing"])
        assert isinstance(result.exception, OptionError)


@pytest.mark.slow
def test_a_small_load_on_the_real_server() -> None:
    speech = (np.sin(np.arange(16_000 * 40) * 0.1) * 0.3).astype(np.float32)
    load = service.Load(repeat=1, upload_mb=2, clients=2, seconds=2)
    figures = service.measure_overhead(speech, load) + throughput.measure_throughput(speech, 4)
    figures += service.measure_upload(load) + service.measure_clients(speech, load)
    found = {one.name: one.value for one in figures}
    assert len(found) == len(figures)  # each has a name of its own
    assert found["refused"] == 0
    assert found["errors"] == 0
    assert found["dictations of 2 clients in 2 s"] >= 2


@pytest.mark.slow
def test_a_small_queue_on_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "find_postgresql", lambda: None)
    assert len(queue.measure_queue(20)) == 5
