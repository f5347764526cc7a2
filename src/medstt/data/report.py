"""A checked manifest as a report: JSON for programs, Markdown and one HTML page for people.

Holds counts, histograms and the quarantine list; no text, speaker or file name unless asked for, and then it is marked
confidential. Knows nothing of how the figures came about.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from medstt.data.check import CODES, Checked, CheckResult
from medstt.data.measure import count_words

CONFIDENTIAL = "CONFIDENTIAL: holds text of recordings"
BAR = 40
# measure -> (title, edges of its bins, how it is read)
HISTOGRAMS: dict[str, tuple[str, tuple[float, ...], Callable[[Checked], float]]] = {
    "duration_s": ("Length, s", (0, 1, 2, 4, 6, 8, 10, 15, 20, 30), lambda row: row.measures.duration_ms / 1000),
    "snr_db": ("Speech over background, dB", (0, 5, 10, 15, 20, 30, 40, 60), lambda row: row.measures.snr_db),
    "peak_dbfs": ("Peak, dBFS", (-60, -40, -30, -20, -12, -6, -3, -1), lambda row: row.measures.peak_dbfs),
    "words_per_minute": (
        "Words a minute",
        (0, 50, 80, 100, 120, 140, 160, 180, 220, 300),
        lambda row: count_words(row.utterance.text) * 60_000 / max(1, row.measures.duration_ms),
    ),
    "chars_per_s": (
        "Characters a second",
        (0, 5, 8, 10, 12, 14, 16, 18, 22, 28),
        lambda row: len(row.utterance.text) * 1000 / max(1, row.measures.duration_ms),
    ),
}


def histogram(values: Sequence[float], edges: Sequence[float]) -> list[tuple[str, int]]:
    """Count values between edges; the last bin is open, values below the first edge have a bin of their own."""
    labels = [f"< {edges[0]:g}"]
    labels += [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    labels.append(f">= {edges[-1]:g}")
    counts = [0] * len(labels)
    for value in values:
        counts[sum(value >= edge for edge in edges)] += 1
    bins = list(zip(labels, counts, strict=True))
    return bins[1:] if bins[0][1] == 0 else bins


def build_report(result: CheckResult, *, include_text: bool = False) -> dict[str, Any]:
    """Return the report as plain data, ready for JSON."""
    measured = [row for row in result.rows if not row.measures.error]
    kept_ms = sum(row.measures.duration_ms for row in result.kept)
    report: dict[str, Any] = {
        "utterances": len(result.rows),
        "kept": len(result.kept),
        "quarantined": len(result.quarantined),
        "hours": round(sum(row.measures.duration_ms for row in measured) / 3_600_000, 4),
        "hours_kept": round(kept_ms / 3_600_000, 4),
        "languages": _count(result.kept, lambda row: row.utterance.lang),
        "splits": _count(result.kept, lambda row: row.utterance.split),
        "speakers": len({row.utterance.speaker for row in result.kept}),
        "issues": {code: {"count": count, "meaning": CODES[code]} for code, count in result.counts().items()},
        "histograms": {
            name: [{"bin": label, "count": count} for label, count in histogram([read(row) for row in measured], edges)]
            for name, (_, edges, read) in HISTOGRAMS.items()
        },
        "rules": result.rules.model_dump(),
        "quarantine": [_entry(row, include_text) for row in result.quarantined],
    }
    if include_text:
        report["confidential"] = CONFIDENTIAL
    return report


def _count(rows: Sequence[Checked], read: Callable[[Checked], str]) -> dict[str, int]:
    return dict(sorted(Counter(read(row) for row in rows).items()))


def _entry(row: Checked, include_text: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": row.utterance.id,
        "reasons": [
            # An undecodable recording's message names its file.
            {"code": issue.code, "message": issue.message if include_text or issue.code != "undecodable" else ""}
            for issue in row.issues
        ],
    }
    if include_text:
        entry |= {"text": row.utterance.text, "audio": row.utterance.audio, "speaker": row.utterance.speaker}
    return entry


def render_markdown(report: dict[str, Any]) -> str:
    """Return the report as Markdown with bars of characters."""
    lines = ["# Data check", ""]
    if "confidential" in report:
        lines += [f"**{report['confidential']}**", ""]
    lines += [
        f"{report['kept']} of {report['utterances']} utterances kept ({report['hours_kept']:.2f} of "
        f"{report['hours']:.2f} h, {report['speakers']} speakers), {report['quarantined']} quarantined.",
        "",
        "| | |",
        "|---|---|",
        f"| languages | {_list(report['languages'])} |",
        f"| splits | {_list(report['splits'])} |",
        "",
        "## Reasons for quarantine",
        "",
    ]
    issues = report["issues"]
    lines += [f"- {issue['count']} x `{code}`: {issue['meaning']}" for code, issue in issues.items()] or ["None."]
    for name, (title, _, _) in HISTOGRAMS.items():
        lines += ["", f"## {title}", "", "```", *_bars(report["histograms"][name]), "```"]
    lines += ["", "## Quarantine", ""]
    for entry in report["quarantine"]:
        reasons = "; ".join(": ".join(filter(None, (why["code"], why["message"]))) for why in entry["reasons"])
        said = f" `{entry['text']}`" if "text" in entry else ""
        lines.append(f"- {entry['id']}: {reasons}{said}")
    return "\n".join(lines) + "\n"


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _bars(bins: Sequence[dict[str, Any]]) -> list[str]:
    most = max((one["count"] for one in bins), default=0) or 1
    width = max(len(one["bin"]) for one in bins)
    return [f"{one['bin']:>{width}}  {'#' * round(BAR * one['count'] / most):<{BAR}} {one['count']}" for one in bins]


def render_html(report: dict[str, Any]) -> str:
    """Return the report as one HTML page without scripts or outside references."""
    escape = html.escape
    issues = "".join(
        f"<tr><td>{issue['count']}<td><code>{escape(code)}</code><td>{escape(issue['meaning'])}"
        for code, issue in report["issues"].items()
    )
    charts = "".join(
        f"<h2>{escape(title)}</h2><pre>{escape(chr(10).join(_bars(report['histograms'][name])))}</pre>"
        for name, (title, _, _) in HISTOGRAMS.items()
    )
    rows = "".join(
        f"<tr><td>{escape(entry['id'])}<td>"
        + escape("; ".join(": ".join(filter(None, (why["code"], why["message"]))) for why in entry["reasons"]))
        + (f"<td>{escape(entry['text'])}" if "text" in entry else "")
        for entry in report["quarantine"]
    )
    notice = f"<p><strong>{escape(report['confidential'])}</strong>" if "confidential" in report else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Data check</title>'
        "<style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "td{padding:.1rem .8rem .1rem 0;vertical-align:top}</style>"
        f"<h1>Data check</h1>{notice}<p>{report['kept']} of {report['utterances']} utterances kept "
        f"({report['hours_kept']:.2f} of {report['hours']:.2f} h, {report['speakers']} speakers), "
        f"{report['quarantined']} quarantined.<p>Languages: {escape(_list(report['languages']))}. "
        f"Splits: {escape(_list(report['splits']))}.<h2>Reasons for quarantine</h2><table>{issues}</table>"
        f"{charts}<h2>Quarantine</h2><table>{rows}</table></html>\n"
    )
