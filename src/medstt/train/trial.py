"""The trials of a tuning as a table and a plot.

Knows nothing of how trials are drawn or carried out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["complete", "pruned", "failed"]
WIDTH, HEIGHT, MARGIN = 640, 240, 44
COLOURS: dict[State, str] = {"complete": "#1b6ca8", "pruned": "#b8b8b8", "failed": "#c0392b"}


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: its folder's name, how it ended, its score (a pruned one's last), and (step, score) on the way."""

    name: str
    state: State
    score: float | None
    seconds: float
    values: dict[str, int | float | str | bool]
    scores: tuple[tuple[int, float], ...] = ()


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Return the complete trial with the lowest score, the first of equals; None if none is complete."""
    complete = [trial for trial in trials if trial.state == "complete" and trial.score is not None]
    return min(complete, key=lambda trial: trial.score or 0.0) if complete else None


def override_flags(trial: Trial) -> list[str]:
    """Return a trial's values as ``--set`` takes them."""
    return [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in trial.values.items()]


def format_table(trials: Sequence[Trial], metric: str) -> str:
    """Return a Markdown table, best first, failed last."""
    keys = sorted({key for trial in trials for key in trial.values})
    order: dict[State, int] = {"complete": 0, "pruned": 1, "failed": 2}
    lines = [
        f"| trial | {metric} | state | {' | '.join(keys)} | seconds |",
        "|" + "---|" * (len(keys) + 4),
    ]
    for trial in sorted(
        trials, key=lambda trial: (order[trial.state], math.inf if trial.score is None else trial.score)
    ):
        score = "-" if trial.score is None else f"{trial.score:.4f}"
        values = " | ".join(_spell(trial.values.get(key)) for key in keys)
        lines.append(f"| {trial.name} | {score} | {trial.state} | {values} | {trial.seconds:.0f} |")
    return "\n".join(lines) + "\n"


def _spell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def draw_plot(trials: Sequence[Trial], metric: str) -> str:
    """Return an SVG: every trial's score in order, and the line of the best so far."""
    scored = [(number, trial) for number, trial in enumerate(trials) if trial.score is not None]
    values = [trial.score or 0.0 for _, trial in scored] or [0.0]
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def place(number: int, score: float) -> tuple[float, float]:
        x = MARGIN + (WIDTH - 2 * MARGIN) * number / max(1, len(trials) - 1)
        return round(x, 1), round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (score - low) / span, 1)

    dots, line, best = [], [], math.inf
    for number, trial in scored:
        x, y = place(number, trial.score or 0.0)
        title = f"<title>{trial.name}: {trial.score:.4f}</title>"
        dots.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{COLOURS[trial.state]}">{title}</circle>')
        if trial.state == "complete":
            best = min(best, trial.score or 0.0)
            line.append(f"{x},{place(number, best)[1]}")
    bottom = HEIGHT - MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12">',
        f'<path d="M{MARGIN} {MARGIN}V{bottom}H{WIDTH - MARGIN}" fill="none" stroke="#888"/>',
        f'<text x="{MARGIN}" y="{MARGIN - 12}">{metric}: blue complete, grey pruned; line: best so far</text>',
        f'<text x="4" y="{MARGIN + 4}">{high:.3g}</text><text x="4" y="{bottom}">{low:.3g}</text>',
        f'<text x="{WIDTH - MARGIN}" y="{bottom + 20}" text-anchor="end">trial {max(0, len(trials) - 1)}</text>',
        f'<polyline points="{" ".join(line)}" fill="none" stroke="#1b6ca8" stroke-width="1.5"/>',
        *dots,
        "</svg>",
    ]) + "\n"  # fmt: skip
