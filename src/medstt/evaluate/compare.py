"""Two runs on the same utterances: paired differences with intervals, and what became better or worse.

Knows nothing of what difference is acceptable.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medstt.errors import DataError
from medstt.evaluate.run import Run, open_run
from medstt.evaluate.summary import ROWS, read_summary
from medstt.evaluate.table import DRAWS, SEED, Estimate, ScoreTable, column_view, estimate_rates, table_of
from medstt.metrics.critical import KINDS
from medstt.metrics.interval import cluster_rows, percentile_interval, permutation_p, permute_sums, resample_sums
from medstt.metrics.rate import RATES, Rate

CRITICAL_WEIGHT = 5  # one critical error counts as so many word errors when utterances are ranked by harm
WORST = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One rate of the second run minus the first, with its paired 95 % interval and permutation p-value.

    ``value`` is None where one of the two has nothing to score.
    """

    first: Estimate
    second: Estimate
    value: float | None
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """One utterance that came out otherwise: its errors before and after (critical ones weigh more)."""

    key: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the second run gained and cost against the first, per pool of speech.

    ``same_sound`` False: the same sentences, but other recordings of them (another synthesiser's version, say); None
    where a run does not tell.
    """

    first: str
    second: str
    common: int
    left_out: int
    pools: Mapping[str, Mapping[str, Difference]]
    verdicts: Mapping[Literal["better", "same", "worse"], int]
    worst: tuple[Change, ...]
    best: tuple[Change, ...]
    same_sound: bool | None = None


def read_table(folder: Path) -> ScoreTable:
    """Read the counts per utterance of a scored run; raises DataError if it was not scored."""
    try:
        lines = (folder / ROWS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise DataError(f"{folder} has no scores", "Score it with `medstt evaluate --rescore RUN`") from error
    rows = [json.loads(line) for line in lines]
    return table_of([(row["key"], row["slices"].get("speaker", ""), row["counts"], row["slices"]) for row in rows])


def check_comparable(first: Run, second: Run) -> None:
    """Raise DataError if two runs were not scored alike or not on the same utterances, and say how to mend it."""
    one, two = read_summary(first.folder), read_summary(second.folder)
    for what in ("normaliser", "scoring"):
        if one[what] != two[what]:
            raise DataError(
                f"the runs were scored with different {what} ({one[what]} and {two[what]})",
                "Score both again with `medstt evaluate --rescore RUN`",
            )
    left = {item.key: item.utterance.text for item in first.items}
    right = {item.key: item.utterance.text for item in second.items}
    if left.keys() != right.keys():
        only_one, only_two = sorted(left.keys() - right.keys()), sorted(right.keys() - left.keys())
        raise DataError(
            f"the runs are on different utterances: {len(only_one)} only in the first ({', '.join(only_one[:3])}), "
            f"{len(only_two)} only in the second ({', '.join(only_two[:3])})",
            "Evaluate both on the same benchmark or manifest",
        )
    changed = [key for key, text in left.items() if right[key] != text]
    if changed:
        raise DataError(
            f"{len(changed)} references differ between the runs ({', '.join(changed[:3])})",
            "Evaluate both on the same version of the benchmark",
        )


def compare_runs(first: Path, second: Path, draws: int = DRAWS) -> Comparison:
    """Compare two scored runs; utterances that one of them failed on or was not asked for are left out and counted."""
    runs = open_run(first), open_run(second)
    check_comparable(*runs)
    tables = read_table(first), read_table(second)
    one, two = align_tables(*tables)
    pools = {
        pool: compare_tables(one.select(rows), two.select(rows), draws) for pool, rows in _rows_by_pool(one).items()
    }
    harms = _harm(one), _harm(two)
    changes = [Change(key, int(a), int(b)) for key, a, b in zip(one.keys, *harms, strict=True)]
    return Comparison(
        runs[0].name,
        runs[1].name,
        len(one.keys),
        max(len(run.items) for run in runs) - len(one.keys),
        pools,
        {
            "better": sum(change.after < change.before for change in changes),
            "same": sum(change.after == change.before for change in changes),
            "worse": sum(change.after > change.before for change in changes),
        },
        tuple(sorted((c for c in changes if c.after > c.before), key=lambda c: c.before - c.after)[:WORST]),
        tuple(sorted((c for c in changes if c.after < c.before), key=lambda c: c.after - c.before)[:WORST]),
        _same_sound(*runs),
    )


def _same_sound(first: Run, second: Run) -> bool | None:
    one, two = first.spec.get("sound"), second.spec.get("sound")
    return one == two if one and two else None


def align_tables(one: ScoreTable, two: ScoreTable) -> tuple[ScoreTable, ScoreTable]:
    """Return both tables with the utterances that both answered, and the same columns, in the first one's order."""
    columns = tuple(sorted(set(one.columns) | set(two.columns)))
    one, two = one.with_columns(columns), two.with_columns(columns)
    failed = columns.index("failed")
    where = {key: row for row, key in enumerate(two.keys) if not two.counts[row, failed]}
    rows = [row for row, key in enumerate(one.keys) if key in where and not one.counts[row, failed]]
    return one.select(rows), two.select([where[one.keys[row]] for row in rows])


def _rows_by_pool(table: ScoreTable) -> dict[str, list[int]]:
    pools: dict[str, list[int]] = {}
    for row, labels in enumerate(table.labels):
        pools.setdefault(labels.get("pool", "unstated"), []).append(row)
    return pools


def _harm(table: ScoreTable) -> list[int]:
    sums = column_view(table.columns, table.counts)
    errors = sum(sums[f"content_{name}"] for name in ("substitutions", "deletions", "insertions"))
    critical = sum(
        sums[name] for kind in KINDS for name in (f"{kind}_lost", f"{kind}_gained", f"{kind}_swapped") if name in sums
    )
    return [int(value) for value in np.asarray(errors + CRITICAL_WEIGHT * critical).reshape(len(table.keys))]


def compare_tables(
    one: ScoreTable, two: ScoreTable, draws: int = DRAWS, rates: Sequence[Rate] = RATES
) -> dict[str, Difference]:
    """Return the difference of each rate between two tables of the same rows; bootstrap draws are shared."""
    width = len(one.columns)
    paired = cluster_rows(np.concatenate([one.counts, two.counts], axis=1), one.speakers)
    drawn = resample_sums(paired, draws, SEED)
    permuted = permute_sums(paired[:, :width], paired[:, width:], draws, SEED)
    first, second = estimate_rates(one, rates, draws), estimate_rates(two, rates, draws)
    views = column_view(one.columns, drawn[:, :width]), column_view(one.columns, drawn[:, width:])
    swapped = column_view(one.columns, permuted[0]), column_view(one.columns, permuted[1])
    return {
        rate.key: _difference(rate, first[rate.key], second[rate.key], views, swapped)
        for rate in rates
        if first[rate.key].events or second[rate.key].events
    }


_Views = tuple[Mapping[str, Any], Mapping[str, Any]]


def _difference(rate: Rate, first: Estimate, second: Estimate, drawn: _Views, permuted: _Views) -> Difference:
    if first.value is None or second.value is None:
        return Difference(first, second, None, None, None, None)
    value = second.value - first.value
    interval = percentile_interval(rate.compute(drawn[1]) - rate.compute(drawn[0]))
    low, high = interval or (None, None)
    p = permutation_p(value, rate.compute(permuted[0]) - rate.compute(permuted[1]))
    return Difference(first, second, value, low, high, None if math.isnan(value) else p)
