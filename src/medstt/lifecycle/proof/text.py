"""A proof's document as Markdown: goals first, then figures, differences, slices and the curve. Knows no models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medstt.lifecycle.proof.figure import FIGURES, TAUGHT, WER
from medstt.lifecycle.proof.plan import Role
from medstt.metrics.rate import Rate

Document = Mapping[str, Any]
NOTE = (
    "Values in percent with 95 % bootstrap intervals; differences are paired, in points. No names were listened for: "
    "the model alone counts. Every method took the same number of steps from the same base. No test sentence and no "
    "test voice occurs in training. These figures stand for these data and no others."
)


def render(document: Document, command: str) -> str:
    """Return the whole report; what was not done yet is said first."""
    parts = ["# What fine-tuning gains and costs", _head(document, command), NOTE]
    if document["missing"]:
        parts.append(f"**Not done yet, or not there: {', '.join(document['missing'])}.**")
    parts += [_goals(document), "## Figures", *_figures(document), "## Against the control and the base"]
    parts += [*_differences(document), *_curve(document), "## By language, tier and voice", *_slices(document)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(document: Document, command: str) -> str:
    environment = document["environment"]
    tests = "; ".join(
        f"{name}: {test['utterances']} utterances"
        + (f" ({test['left_out']} more left out, training holds their sentence)" if test["left_out"] else "")
        for name, test in document["tests"].items()
    )
    plan = document["plan"]
    machine = f"{environment['cores']} cores, {environment['processor']}; torch {environment.get('torch', '-')}"
    return (
        f"`{command}`, {document['date']}, commit {environment.get('commit', 'unknown')}; {machine}.\n\n"
        f"Base {plan['base']}, {plan['steps']} steps, {document['own_utterances']} utterances of own data. {tests}."
    )


def _goals(document: Document) -> str:
    if not document["goals"]:
        return ""
    words = {True: "met", False: "NOT met", None: "not enough evidence"}
    lines = []
    for goal in document["goals"]:
        found = goal["found"]
        figure = f" ({_percent(found['value'])} [{_percent(found['low'])}, {_percent(found['high'])}])" if found else ""
        lines.append(f"- {goal['goal']}: **{words[goal['met']]}**{figure}")
    return "\n".join(lines)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _rates(document: Document, name: str) -> tuple[Rate, ...]:
    role: Role = document["tests"][name]["role"]
    return FIGURES[role]


def _methods(document: Document) -> list[Any]:
    return [row for row in document["rows"] if row["own"] is None]


def _figures(document: Document) -> list[str]:
    parts = []
    for name in document["tests"]:
        rates = _rates(document, name)
        rows = [
            [row["title"], *(_estimate(row["figures"][name].get(rate.key)) for rate in rates)]
            for row in _methods(document)
        ]
        parts += [f"### {name}", table(["", *(rate.title for rate in rates)], rows)]
    cost = [
        [row["title"], str(row["trained"]["steps"]), f"{row['trained']['seconds'] / 60:.1f}",
         f"{row['trained']['size_bytes'] / 1e6:.1f}"]
        for row in _methods(document)
        if row["trained"]
    ]  # fmt: skip
    return [*parts, "### Cost", table(["", "steps", "minutes of training", "MB (float16)"], cost)]


def _differences(document: Document) -> list[str]:
    parts = []
    for other in ("base", document["plan"]["control"]):
        for name in document["tests"]:
            rates = _rates(document, name)
            rows = []
            for row in _methods(document):
                found = row["against"].get(other, {}).get(name)
                if found:
                    cells = [_difference(found["differences"].get(rate.key)) for rate in rates]
                    rows.append([row["title"], *cells, f"{100 * found['worse']:.1f}"])
            if rows:
                head = ["", *(rate.title for rate in rates), "% of utterances worse"]
                parts += [f"### {name}: points against {other}", table(head, rows)]
    return parts


def _curve(document: Document) -> list[str]:
    plan = document["plan"]
    if plan["curve"] is None:
        return []
    points = {0: "base", **{size: f"curve-{size}" for size in plan["curve"]["sizes"]}}
    points[document["own_utterances"]] = plan["curve"]["method"]
    rows = {row["name"]: row for row in document["rows"]}
    columns = [
        (name, rate) for name, test in document["tests"].items() if test["role"] != "noise" for rate in (TAUGHT, WER)
        if rate in FIGURES[test["role"]]
    ]  # fmt: skip
    lines = [
        [str(size), *(_estimate(rows[row]["figures"][name].get(rate.key)) for name, rate in columns)]
        for size, row in sorted(points.items())
        if row in rows
    ]
    head = ["utterances of own data", *(f"{name}: {rate.title}" for name, rate in columns)]
    return [
        "## How much own data",
        f"As many steps each, by: {plan['methods'][plan['curve']['method']]['title']}.",
        table(head, lines),
    ]


def _slices(document: Document) -> list[str]:
    parts = []
    methods = _methods(document)
    for name, test in document["tests"].items():
        for rate in (TAUGHT, WER):
            if test["role"] == "noise" or rate not in FIGURES[test["role"]]:
                continue
            values = list(methods[0]["slices"][name]) if methods else []
            rows = [
                [value, *(_short(row["slices"][name].get(value, {}).get(rate.key)) for row in methods)]
                for value in values
            ]
            parts += [f"### {name}: {rate.title}", table(["", *(row["name"] for row in methods)], rows)]
    return parts


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _estimate(found: Mapping[str, Any] | None) -> str:
    if not found or found["value"] is None:
        return "-"
    interval = f"[{_percent(found['low'])}, {_percent(found['high'])}]"
    return f"{_percent(found['value'])} {interval} ({found['errors']}/{found['events']})"


def _short(found: Mapping[str, Any] | None) -> str:
    return (
        "-"
        if not found or found["value"] is None
        else f"{_percent(found['value'])} ({found['errors']}/{found['events']})"
    )


def _difference(found: Mapping[str, Any] | None) -> str:
    if not found or found["value"] is None:
        return "-"
    return f"{100 * found['value']:+.1f} [{_signed(found['low'])}, {_signed(found['high'])}]"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.1f}"
