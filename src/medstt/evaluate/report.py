"""A scored run as one HTML file that needs nothing else: critical errors first, plots, every utterance.

Texts and audio are in it only where asked for, or where they are the project's own. Knows nothing of decoding.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from medstt.evaluate.compare import CRITICAL_WEIGHT, Comparison
from medstt.evaluate.plot import interval_plot, reliability_plot, scatter_plot
from medstt.evaluate.score import ScoredItem
from medstt.evaluate.summary import decode_estimate
from medstt.evaluate.text import difference_cells, format_estimate, speed_line, tier_columns
from medstt.metrics.rate import RATES, SAID, Rate

GROUPS = {"critical": "Errors that can harm", "words": "Words", "terms": "Terms and drug names", "document": "Document",
          "invented": "Invented text", "confidence": "Confidence", "speed": "Speed"}  # fmt: skip
AUDIO_ROWS = 20
AUDIO_BYTES = 600_000
_AUDIO_TYPES = {".wav": "audio/wav", ".mp3": "audio/mpeg", ".opus": "audio/ogg", ".ogg": "audio/ogg",
                ".m4a": "audio/mp4", ".flac": "audio/flac", ".webm": "audio/webm"}  # fmt: skip
_PLOTTED = ("tier", "language", "speaker", "set", "snr_db", "length", "confidence", "specialty", "noise")


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What may be in the file. ``own`` False: the data are the user's, and a report with text is confidential."""

    include_text: bool = False
    include_audio: bool = False
    own: bool = False

    @property
    def shows_text(self) -> bool:
        """Tell whether references and hypotheses are in the file."""
        return self.include_text or self.own


def render_report(
    document: Mapping[str, Any],
    scored: Sequence[ScoredItem],
    options: ReportOptions,
    comparison: Comparison | None = None,
) -> str:
    """Return the HTML of a run's report; ``comparison`` is that with its parent or champion, this run second."""
    system = document["system"]
    title = f"{system.get('label') or system.get('name')}"
    about = document.get("benchmark") or {}
    if about:
        title += f" on {about['name']} v{about['version']}"
    asked = f"{document['asked']} of {document['of']} utterances"
    page = Template(resources.files("medstt.evaluate").joinpath("page.html").read_text(encoding="utf-8"))
    normalisers = "normalisers " + ", ".join(document["normaliser"])
    notes = (about.get("title"), asked, "95 % intervals", normalisers, speed_line(document))
    confidential = options.include_text and not options.own
    hint = (
        "Reference and hypothesis after the content normaliser: struck out was said, marked was written instead."
        if options.shows_text
        else "Texts are not part of this file (--include-text puts them in). Rows show counts only."
    )
    return page.substitute(
        title=escape(title),
        banner='<div class="confidential">Confidential: this file holds dictated text.</div>' if confidential else "",
        subtitle=escape("; ".join(part for part in notes if part)),
        warnings=_warnings(document),
        tables="".join(_pool_table(name, part) for name, part in document["pools"].items()),
        comparison=_comparison_table(comparison) if comparison else "",
        plots=_plot_section(_plots(document, comparison)),
        hint=hint,
        provenance=escape(json.dumps(_provenance(document), indent=1, ensure_ascii=False)),
        formulas="".join(_formula_row(rate) for rate in RATES),
        data=_embedded(_rows(scored, options)),
    )  # fmt: skip


def _formula_row(rate: Rate) -> str:
    return "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in (rate.title, rate.formula, rate.source)) + "</tr>"


def _embedded(rows: list[dict[str, Any]]) -> str:
    """Return JSON that cannot end the script element it stands in."""
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _provenance(document: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("system", "benchmark", "items", "sound", "transcripts", "normaliser", "scoring", "latency", "usage",
            "environment")  # fmt: skip
    return {key: document.get(key) for key in keys}


def _warnings(document: Mapping[str, Any]) -> str:
    notes = []
    if document["failed"]:
        notes.append(f"{document['failed']} requests failed and are not scored.")
    if document["asked"] < document["of"]:
        notes.append(f"Only {document['asked']} of {document['of']} utterances were asked.")
    if "synthetic" in document["pools"]:
        notes.append("Synthesised speech says how the software behaves, not how accurate it is in a clinic.")
    return "".join(f'<p class="warn">{escape(note)}</p>' for note in notes)


def _pool_table(name: str, part: Mapping[str, Any]) -> str:
    tiers = tier_columns(part)
    head = "".join(f"<th>{escape(tier)} ({entry['utterances']})</th>" for tier, entry in tiers.items())
    lines = []
    for group, title in GROUPS.items():
        rates = [rate for rate in RATES if rate.group == group and any(rate.key in e["rates"] for e in tiers.values())]
        if rates:
            lines.append(f'<tr class="group"><td colspan="{len(tiers) + 1}">{escape(title)}</td></tr>')
        for rate in rates:
            cells = ""
            for entry in tiers.values():
                estimate = decode_estimate(entry["rates"].get(rate.key))
                thin = ' class="thin"' if not estimate.enough else ""
                cells += f"<td{thin}>{_cell(format_estimate(rate, estimate))}</td>"
            lines.append(f'<tr><td title="{escape(rate.formula)}">{escape(rate.title)}</td>{cells}</tr>')
    return (
        f"<h2>{escape(name.capitalize())} speech</h2><p class='sub'>{_speakers(part)}</p>"
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _speakers(part: Mapping[str, Any]) -> str:
    count = part["speakers"]
    return f"{count} speaker{'s' * (count != 1)}" if count else "no speaker named"


def _plot_section(plots: Sequence[str]) -> str:
    return f'<h2>Plots</h2><div class="plots">{"".join(plots)}</div>' if plots else ""


def _cell(text: str) -> str:
    value, bracket, rest = text.partition(" [")
    return escape(value) + (f' <span class="ci">[{escape(rest)}</span>' if bracket else "")


def _comparison_table(comparison: Comparison) -> str:
    parts = [f"<h2>What changed against {escape(comparison.first)}</h2>"]
    verdicts = comparison.verdicts
    parts.append(
        f'<p class="sub">{comparison.common} utterances in common, {comparison.left_out} left out: '
        f"{verdicts['better']} better, {verdicts['same']} same, {verdicts['worse']} worse.</p>"
    )
    if comparison.same_sound is False:
        parts.append('<p class="warn">The two heard different recordings of the same sentences.</p>')
    for pool, differences in comparison.pools.items():
        lines = []
        for group in GROUPS:
            for rate in RATES:
                found = differences.get(rate.key)
                if rate.group != group or found is None:
                    continue
                first, second, change, p = difference_cells(rate, found)
                bad = (
                    found.low is not None
                    and (found.low > 0) != rate.higher_is_better
                    and found.low * (found.high or 0) > 0
                )
                good = found.low is not None and not bad and found.low * (found.high or 0) > 0
                cls = "worse" if bad else "better" if good else ""
                lines.append(
                    f"<tr><td>{escape(rate.title)}</td><td>{_cell(first)}</td><td>{_cell(second)}</td>"
                    f'<td class="{cls}">{_cell(change)}</td><td>{p}</td></tr>'
                )
        parts.append(
            f"<h3>{escape(pool.capitalize())} speech</h3><div class='scroll'><table><thead><tr><th></th>"
            f"<th>{escape(comparison.first)}</th><th>{escape(comparison.second)}</th><th>difference</th><th>p</th></tr>"
            f"</thead><tbody>{''.join(lines)}</tbody></table></div>"
        )
    if comparison.worst:
        worst = ", ".join(f"{escape(c.key)} ({c.before} to {c.after})" for c in comparison.worst)
        parts.append(f"<p>Most worse, in weighted errors: {worst}</p>")
    return "".join(parts)


def _plots(document: Mapping[str, Any], comparison: Comparison | None) -> list[str]:
    plots = []
    for pool, part in document["pools"].items():
        plots.append(_figure(_critical_plot(part), f"Errors that can harm, {pool} speech"))
        for name in _PLOTTED:
            rows = _slice_rows(part["slices"].get(name, {}))
            plots.append(_figure(interval_plot(f"WER by {name}", rows), f"WER by {name}, {pool} speech"))
        plots.append(_figure(_status_plot(part), f"Drug names missed by how well they are known, {pool} speech"))
        plots.append(_figure(_said_plot(part), f"Drug names missed by how often training said them, {pool} speech"))
    curve = document["confidence"].get("reliability", [])
    plots.append(_figure(reliability_plot(curve), _review_note(document["confidence"].get("errors_found", {}))))
    plots.append(_figure(_speed_plot(document, comparison), "Speed against accuracy"))
    return [plot for plot in plots if plot]


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" if svg else ""


def _points(
    rates: Mapping[str, Any], keys: Sequence[tuple[str, str]]
) -> list[tuple[str, float, float | None, float | None, str]]:
    rows = []
    for key, label in keys:
        found = decode_estimate(rates.get(key))
        if found.value is not None:
            low, high = (None if x is None else x * 100 for x in (found.low, found.high))
            note = f"{found.errors}/{found.events}" + ("" if found.enough else " few")
            rows.append((label, found.value * 100, low, high, note))
    return rows


def _critical_plot(part: Mapping[str, Any]) -> str:
    keys = [(rate.key, rate.title) for rate in RATES if rate.group == "critical"]
    return interval_plot("Errors that can harm", _points(part["rates"], keys))


def _status_plot(part: Mapping[str, Any]) -> str:
    keys = [(f"drug_miss_{status}", status) for status in ("heard", "lexicon", "unknown")]
    return interval_plot("Drug names missed", _points(part["rates"], keys))


def _said_plot(part: Mapping[str, Any]) -> str:
    keys = [(f"drug_miss_said_{name}", times) for name, times in SAID.items()]
    return interval_plot("Drug names missed by how often training said them", _points(part["rates"], keys))


def _slice_rows(values: Mapping[str, Any]) -> list[tuple[str, float, float | None, float | None, str]]:
    rows: list[tuple[str, float, float | None, float | None, str]] = []
    for value, entry in values.items():
        rows += _points(entry["rates"], [("wer_content", value)])
    return rows


def _review_note(found: Mapping[str, float | None]) -> str:
    shares = [f"{float(share):.0%} of words: {part:.0%}" for share, part in found.items() if part is not None]
    return "Reliability. Errors found by reading the least certain " + ", ".join(shares) if shares else "Reliability"


def _speed_plot(document: Mapping[str, Any], comparison: Comparison | None) -> str:
    points = []
    for pool, part in document["pools"].items():
        speed, wer = (decode_estimate(part["rates"].get(key)) for key in ("real_time_factor", "wer_content"))
        if speed.value is not None and wer.value is not None:
            points.append((f"this run, {pool}", speed.value, wer.value * 100))
    if comparison:
        for pool, found in comparison.pools.items():
            before = found.get("real_time_factor"), found.get("wer_content")
            if before[0] and before[1] and before[0].first.value is not None and before[1].first.value is not None:
                points.append((f"{comparison.first}, {pool}", before[0].first.value, before[1].first.value * 100))
    return scatter_plot("Speed against accuracy", points, "real-time factor (lower is faster)", "WER in %")


def _rows(scored: Sequence[ScoredItem], options: ReportOptions) -> list[dict[str, Any]]:
    rows = [_row(number, item, options) for number, item in enumerate(scored)]
    if options.shows_text and options.include_audio:
        worst = sorted(range(len(rows)), key=lambda index: -rows[index]["h"])[:AUDIO_ROWS]
        for index in worst:
            source = _audio_source(scored[index].item.audio)
            if source and not scored[index].item.utterance.start_ms:
                rows[index]["w"] = source
    return rows


def _row(number: int, item: ScoredItem, options: ReportOptions) -> dict[str, Any]:
    counts = item.counts
    errors = sum(counts.get(f"content_{name}", 0) for name in ("substitutions", "deletions", "insertions"))
    shown = options.shows_text
    row: dict[str, Any] = {
        "i": number,
        "k": item.item.key if shown else f"utterance {number + 1}",
        "e": errors,
        "n": counts.get("content_length", 0),
        "h": errors + CRITICAL_WEIGHT * len(item.findings) + (1000 if counts["failed"] else 0),
        "c": [[f.kind, f.how, f.said if shown else "", f.heard if shown else ""] for f in item.findings],
        "s": {key: value for key, value in item.slices.items() if shown or key not in ("speaker", "terms")},
    }
    if counts["failed"] and item.answer:
        row["f"] = item.answer.error if shown else "no answer"
    if shown and item.alignment:
        row["a"] = [_chunk(item, chunk) for chunk in item.alignment.chunks]
    return row


def _chunk(item: ScoredItem, chunk: Any) -> list[str]:
    assert item.alignment is not None
    said = " ".join(item.alignment.reference[chunk.ref_start : chunk.ref_end])
    heard = " ".join(item.alignment.hypothesis[chunk.hyp_start : chunk.hyp_end])
    sign = {"equal": "=", "substitute": "s", "delete": "d", "insert": "i"}[chunk.operation]
    return {"=": [sign, said], "s": [sign, said, heard], "d": [sign, said], "i": [sign, heard]}[sign]


def _audio_source(path: Path) -> str | None:
    kind = _AUDIO_TYPES.get(path.suffix.lower())
    if kind is None or not path.is_file() or path.stat().st_size > AUDIO_BYTES:
        return None
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
