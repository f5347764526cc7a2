"""Figures as plain text: one number with its interval, and the headline table of a run for a terminal.

Knows nothing of how figures are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medstt.evaluate.compare import Comparison, Difference
from medstt.evaluate.summary import decode_estimate
from medstt.evaluate.table import Estimate
from medstt.metrics.rate import RATES, Rate

NOT_ENOUGH = "not enough evidence"
_HEAD_GROUPS = ("critical", "words", "terms", "document", "invented", "confidence", "speed")


def format_estimate(rate: Rate, estimate: Estimate, *, judge: bool = True) -> str:
    """Return "4.1 % [3.2-5.0] (41/1000)"; a rate with too few events says so, with its counts."""
    counts = f"{estimate.errors}/{estimate.events}" if rate.form == "ratio" and rate.percent else f"{estimate.events}"
    if estimate.value is None:
        return "nothing to score"
    if judge and not estimate.enough:
        return f"{NOT_ENOUGH} ({counts})"
    scale, unit = (100, " %") if rate.percent else (1, "")
    digits = 2 if scale == 1 or estimate.value * scale < 10 else 1
    interval = ""
    if estimate.low is not None and estimate.high is not None:
        interval = f" [{estimate.low * scale:.{digits}f}-{estimate.high * scale:.{digits}f}]"
    return f"{estimate.value * scale:.{digits}f}{unit}{interval}" + (
        f" ({counts})" if rate.form == "ratio" and rate.percent else ""
    )


def headline(document: Mapping[str, Any]) -> str:
    """Return the tables of a run: per pool of speech, critical errors first, one column per tier after that of all."""
    system = document["system"]
    lines = [
        f"{system.get('label') or system.get('name')}: {document['asked']} of {document['of']} utterances"
        + (f", {document['failed']} FAILED (not scored)" if document["failed"] else "")
    ]
    if spent := speed_line(document):
        lines.append(spent)
    for pool, part in document["pools"].items():
        tiers = tier_columns(part)
        columns = [f"{tier} ({entry['utterances']})" for tier, entry in tiers.items()]
        rows = [["", *columns]]
        for group in _HEAD_GROUPS:
            for rate in RATES:
                if rate.group == group and any(rate.key in entry["rates"] for entry in tiers.values()):
                    cells = [format_estimate(rate, decode_estimate(e["rates"].get(rate.key))) for e in tiers.values()]
                    rows.append([rate.title, *cells])
        lines += ["", f"{pool} speech, {part['speakers']} speakers; 95 % intervals, (errors/events)", *_align(rows)]
    return "\n".join(lines)


def tier_columns(part: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what the columns of a pool's table show: all of it, where it has several tiers, then each tier."""
    tiers: dict[str, Mapping[str, Any]] = part["tiers"]
    return dict(tiers) if len(tiers) == 1 else {"all": part, **tiers}


def speed_line(document: Mapping[str, Any]) -> str:
    """Return latency and peak memory in one line; empty where a run recorded none."""
    parts = [f"latency {name} {document['latency'][key]:.0f} ms" for name, key in (("p50", "p50_ms"), ("p95", "p95_ms"))
             if key in document["latency"]]  # fmt: skip
    peak = (document.get("usage") or {}).get("peak_memory_mb")
    return ", ".join(parts + ([f"peak memory {peak} MB"] if peak else []))


def _align(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def comparison_text(comparison: Comparison) -> str:
    """Return a comparison as a table: critical errors first, then what was gained and cost."""
    lines = [f"{comparison.second} against {comparison.first}: {comparison.common} utterances in common"]
    if comparison.left_out:
        lines[0] += f", {comparison.left_out} left out (failed or not asked)"
    if comparison.same_sound is False:
        lines.append("The two heard different recordings of the same sentences: make the speech once and use it twice.")
    for pool, differences in comparison.pools.items():
        rows = [["", comparison.first, comparison.second, "difference", "p"]]
        for group in _HEAD_GROUPS:
            for rate in RATES:
                if rate.group == group and rate.key in differences:
                    rows.append([rate.title, *difference_cells(rate, differences[rate.key])])
        lines += ["", f"{pool} speech", *_align(rows)]
    verdicts = comparison.verdicts
    lines += ["", f"utterances: {verdicts['better']} better, {verdicts['same']} same, {verdicts['worse']} worse"]
    return "\n".join(lines)


def difference_cells(rate: Rate, difference: Difference) -> list[str]:
    """Return first, second, their difference with its interval, and the p-value."""
    cells = [format_estimate(rate, difference.first), format_estimate(rate, difference.second)]
    if difference.value is None:
        return [*cells, "", ""]
    scale, unit = (100, " points") if rate.percent else (1, "")
    text = f"{difference.value * scale:+.2f}{unit}"
    if difference.low is not None and difference.high is not None:
        text += f" [{difference.low * scale:+.2f}, {difference.high * scale:+.2f}]"
    return [*cells, text, "" if difference.p is None else f"{difference.p:.3f}"]
