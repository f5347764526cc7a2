"""Measured figures beside their targets, as a table and as JSON. Knows nothing of how they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; ``target`` is the most it may be (None: told for information)."""

    part: str
    name: str
    value: float
    unit: str
    target: float | None = None

    @property
    def verdict(self) -> str:
        """Say whether the target is met."""
        return "" if self.target is None else "met" if self.value <= self.target else "missed"


def format_figures(figures: Sequence[Figure]) -> str:
    """Return a Markdown table; the ratio is value by target."""
    lines = ["| part | measure | value | target, at most | ratio | |", "|---|---|---:|---:|---:|---|"]
    for one in figures:
        target = "" if one.target is None else f"{one.target:g} {one.unit}"
        ratio = f"{one.value / one.target:.2f}" if one.target else ""
        lines.append(f"| {one.part} | {one.name} | {one.value:.2f} {one.unit} | {target} | {ratio} | {one.verdict} |")
    return "\n".join(lines)


def encode_figures(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """Return the figures as JSON values."""
    return [asdict(one) | {"verdict": one.verdict} for one in figures]
