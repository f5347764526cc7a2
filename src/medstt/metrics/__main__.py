"""Write every metric, one line each, between the marks of ``training/README.md`` (`python -m medstt.metrics FILE`)."""

from __future__ import annotations

import sys
from pathlib import Path

from medstt.disk import write_atomically
from medstt.metrics.rate import FIGURES, RATES

BEGIN, END = "<!-- metrics -->", "<!-- end of metrics -->"
HEAD = """Written by `python -m medstt.metrics training/README.md`; a test compares. N reference words, P hypothesis
words, H hits, S, D, I substitutions, deletions, insertions; words are those of the content normaliser unless a rate
says otherwise. Evidence: with fewer events a rate is shown as "not enough evidence".

| Metric | Formula | Source | Evidence |
| --- | --- | --- | --- |
"""


def render_metrics() -> str:
    """Return the Markdown table of all metrics."""
    rows = [(rate.key, rate.title, rate.formula, rate.source, str(rate.evidence or "")) for rate in RATES]
    rows += [(figure.key, figure.title, figure.formula, figure.source, "") for figure in FIGURES]
    lines = [
        f"| {title} (`{key}`) | {_cell(formula)} | {source} | {evidence} |"
        for key, title, formula, source, evidence in rows
    ]
    return HEAD + "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def put_metrics(page: str) -> str:
    """Return a page with the table between its marks; raises ValueError if it has none."""
    before, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    return f"{page[:before]}\n{render_metrics()}{page[end:]}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_atomically(path, put_metrics(path.read_text(encoding="utf-8")))
