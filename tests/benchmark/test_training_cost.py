"""What a step costs is measured in real steps; a longer context costs more; the table lands between its marks."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.utils.flop_counter import FlopCounterMode

from medstt.benchmark import model
from medstt.benchmark.model import RandomShape
from medstt.benchmark.training import (
    METHODS,
    StepCase,
    StepCost,
    format_estimates,
    format_steps,
    replace_between,
    time_steps,
)  # fmt: skip

SMALL = RandomShape(32, 1, 1, 2, 80, 2_000, 3)


@pytest.fixture
def small_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model.SHAPES, "small-test", SMALL)


@pytest.mark.usefixtures("small_shape")
@pytest.mark.parametrize("method", METHODS)
def test_a_step_of_every_method_can_be_taken(method: str) -> None:
    walls, cpus, peak_gb = time_steps(StepCase("small-test", method, 1.0, 2, False), 2)  # type: ignore[arg-type]
    assert len(walls) == len(cpus) == 2
    assert all(value > 0 for value in (*walls, *cpus))
    assert 0.05 < peak_gb < 20


@pytest.mark.slow
def test_padding_to_30_s_takes_about_two_and_a_half_times_the_operations() -> None:
    """Counted, because what is measured depends on what else the machine does; attention, which grows most, is not."""
    counts = []
    for padded in (False, True):
        with FlopCounterMode(display=False) as counter:
            time_steps(StepCase("tiny", "full", 10.0, 2, padded), 1)
        counts.append(counter.get_total_flops())
    assert counts[1] / counts[0] >= 2.45


def test_the_table_names_what_was_not_measured() -> None:
    costs = [
        StepCost(StepCase("tiny", "full", 10.0, 3, padded), wall, wall * 2, 1.5)
        for padded, wall in ((False, 1.0), (True, 3.0))
    ]
    lines = format_steps(costs).splitlines()
    assert lines[2].split("|")[1:4] == [" tiny ", " full ", " 3 of 10 s "]
    assert "| 5.6 | 1.50 | 1.00 | not measured |" in lines[2]
    assert "| 3.00 | not measured |" in lines[3]


def test_memory_is_estimated_for_every_shape() -> None:
    lines = format_estimates(10.0, 3).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(model.SHAPES)
    full, _, lora, distilled = (float(cell) for cell in lines[-1].split("|")[2:6])
    assert full > distilled > lora > 1


def test_the_table_is_put_between_the_marks() -> None:
    readme = (Path(__file__).parents[2] / "training" / "README.md").read_text(encoding="utf-8")
    changed = replace_between(readme, "NEW")
    assert changed is not None
    assert "\nNEW\n" in changed
    assert replace_between(changed, "NEW") == changed
    assert replace_between("no marks", "NEW") is None
