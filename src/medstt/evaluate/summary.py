"""A scored run as one plain document (``scores.json``): every rate with its interval, by pool, tier and slice.

Human and synthesised speech are never pooled. Knows nothing of how it is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medstt.disk import write_atomically
from medstt.errors import DataError
from medstt.evaluate.run import ENVIRONMENT, USAGE, Run, digest_transcripts
from medstt.evaluate.score import ScoredItem
from medstt.evaluate.table import DRAWS, Estimate, ScoreTable, estimate_rates, tabulate
from medstt.metrics.confidence import errors_found, reliability
from medstt.metrics.rate import RATE, RATES
from medstt.text.normalise import LEVELS, normaliser_id

SCORES, ROWS = "scores.json", "scores.jsonl"
SLICE_RATES = ("wer_content", "cer", "drug_miss", "mwer", "critical_negation", "critical_side", "critical_number",
               "critical_dose", "critical_unit", "invented")  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """The document, and the table it was computed from."""

    document: Mapping[str, Any]
    table: ScoreTable


def summarise(
    run: Run, scored: Sequence[ScoredItem], about: Mapping[str, Any] | None = None, draws: int = DRAWS
) -> Summary:
    """Compute every figure of a run; ``about`` names what scoring used (lexicon digests)."""
    table = tabulate(scored)
    pools = table.slices("pool")
    document = {
        "format": 1,
        "normaliser": [normaliser_id(level) for level in LEVELS],
        "system": run.spec["system"],
        "benchmark": run.spec.get("benchmark"),
        "items": run.spec["items"],
        "sound": run.spec.get("sound"),
        "transcripts": digest_transcripts(run),
        "scoring": dict(about or {}),
        "asked": len(scored),
        "of": len(run.items),
        "whole": run.spec.get("whole") or len(run.items),
        "failed": table.sums().get("failed", 0),
        "pools": {name: _pool(part, draws) for name, part in pools.items()},
        "latency": latency(scored),
        "confidence": _confidence(scored, table),
        "usage": _read_json(run.folder / USAGE),
        "environment": _read_json(run.folder / ENVIRONMENT),
    }
    return Summary(document, table)


def _pool(table: ScoreTable, draws: int) -> dict[str, Any]:
    small = [RATE[key] for key in SLICE_RATES]
    slices = {}
    for name in table.slice_names():
        if name == "pool":
            continue
        slices[name] = {
            value: {"utterances": len(part.keys), "rates": _encode(estimate_rates(part, small, draws))}
            for value, part in table.slices(name).items()
        }
    tiers = {
        tier: {"utterances": len(part.keys), "rates": _encode(estimate_rates(part, RATES, draws))}
        for tier, part in table.slices("tier").items()
    }
    whole = {
        "utterances": len(table.keys),
        "speakers": len({name for name in table.speakers if name}),
        "sums": table.sums(),
    }
    kinds = _kinds(table)
    return whole | {
        "rates": _encode(estimate_rates(table, RATES, draws)),
        "tiers": tiers,
        "slices": slices,
        "terms": kinds,
    }


def _kinds(table: ScoreTable) -> dict[str, dict[str, int]]:
    """Return term counts by kind (drug, condition ...)."""
    sums = table.sums()
    kinds = sorted({name.split("_")[1] for name in sums if name.startswith("kind_")})
    return {
        kind: {part: sums.get(f"kind_{kind}_{part}", 0) for part in ("events", "missed", "words", "word_errors")}
        for kind in kinds
    }


def _encode(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, Any]]:
    return {key: asdict(estimate) for key, estimate in estimates.items() if estimate.events}


def decode_estimate(row: Mapping[str, Any] | None) -> Estimate:
    """Return an estimate from its JSON; a missing one is unscored."""
    return Estimate(**row) if row else Estimate(None, None, None, 0, 0, False)


def latency(scored: Sequence[ScoredItem]) -> dict[str, float]:
    """Return the median and the 95th percentile of the wall time per request, in milliseconds."""
    times = [item.answer.wall_ms for item in scored if item.answer and item.answer.reply and item.answer.wall_ms]
    if not times:
        return {}
    return {"p50_ms": float(np.percentile(times, 50)), "p95_ms": float(np.percentile(times, 95))}


def _confidence(scored: Sequence[ScoredItem], table: ScoreTable) -> dict[str, Any]:
    words = [word for item in scored for word in item.words]
    if not words:
        return {}
    return {
        "words": len(words),
        "reliability": reliability(table.sums()),
        "errors_found": {f"{share:.2f}": found for share, found in errors_found(words).items()},
    }


def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def write_summary(run: Run, summary: Summary, scored: Sequence[ScoredItem]) -> None:
    """Write ``scores.json`` and one line of counts per utterance (``scores.jsonl``) into the run's folder."""
    write_atomically(run.folder / ROWS, "".join(_rows(scored)))
    write_atomically(run.folder / SCORES, json.dumps(summary.document, indent=1, ensure_ascii=False) + "\n")


def _rows(scored: Sequence[ScoredItem]) -> Iterator[str]:
    for item in scored:
        counts = {name: value for name, value in item.counts.items() if value}
        findings = [[f.kind, f.how, f.said, f.heard] for f in item.findings]
        row = {"key": item.item.key, "counts": counts, "slices": dict(item.slices), "critical": findings}
        yield json.dumps(row, ensure_ascii=False) + "\n"


def read_summary(folder: Path) -> dict[str, Any]:
    """Read ``scores.json`` of a run; raises DataError if it was not scored."""
    try:
        return dict(json.loads((folder / SCORES).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise DataError(f"{folder} has no scores", "Score it with `medstt evaluate --rescore RUN`") from error
