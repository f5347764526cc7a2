"""Counts as a table with sums, slices, intervals: what every figure of a report is computed from.

Knows nothing of how counts came about.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medstt.evaluate.score import ScoredItem
from medstt.metrics.confidence import BINS
from medstt.metrics.interval import Counts, cluster_rows, percentile_interval, resample_sums, upper_bound_of_none
from medstt.metrics.rate import RATES, Floats, Rate

DRAWS = 1000
SEED = 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with its 95 % interval: ``errors`` of ``events``. ``value`` None: nothing was there to be scored.

    ``enough`` False: fewer events than the rate's definition asks for; the figure is not to be relied on.
    """

    value: float | None
    low: float | None
    high: float | None
    errors: int
    events: int
    enough: bool


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Counts, shape (utterances, columns), with each row's key, speaker and slice labels."""

    keys: tuple[str, ...]
    columns: tuple[str, ...]
    counts: Counts
    speakers: tuple[str, ...]
    labels: tuple[Mapping[str, str], ...]

    def sums(self) -> dict[str, int]:
        """Return the sum of every column."""
        return {name: int(value) for name, value in zip(self.columns, self.counts.sum(axis=0), strict=True)}

    def select(self, rows: Sequence[int]) -> ScoreTable:
        """Return the table of some rows, in the order given."""
        return ScoreTable(
            tuple(self.keys[row] for row in rows),
            self.columns,
            self.counts[np.asarray(rows, dtype=np.intp)],
            tuple(self.speakers[row] for row in rows),
            tuple(self.labels[row] for row in rows),
        )

    def with_columns(self, columns: tuple[str, ...]) -> ScoreTable:
        """Return the table with these columns in this order; new ones are zero."""
        place = {name: index for index, name in enumerate(self.columns)}
        counts = np.zeros((len(self.keys), len(columns)), dtype=np.int64)
        for index, name in enumerate(columns):
            if name in place:
                counts[:, index] = self.counts[:, place[name]]
        return ScoreTable(self.keys, columns, counts, self.speakers, self.labels)

    def slices(self, name: str) -> dict[str, ScoreTable]:
        """Return the table of each value of one slice; rows without it are left out."""
        rows: dict[str, list[int]] = {}
        for index, labels in enumerate(self.labels):
            if name in labels:
                rows.setdefault(labels[name], []).append(index)
        return {value: self.select(rows[value]) for value in sorted(rows)}

    def slice_names(self, most_values: int = 40) -> list[str]:
        """Return the slices that divide the table into 2 to ``most_values`` parts."""
        values: dict[str, set[str]] = {}
        for labels in self.labels:
            for name, value in labels.items():
                values.setdefault(name, set()).add(value)
        return sorted(name for name, found in values.items() if 2 <= len(found) <= most_values)


def tabulate(scored: Sequence[ScoredItem]) -> ScoreTable:
    """Return scored items as a table."""
    return table_of([(s.item.key, s.item.utterance.speaker, s.counts, s.slices) for s in scored])


def table_of(rows: Sequence[tuple[str, str, Mapping[str, int], Mapping[str, str]]]) -> ScoreTable:
    """Return rows of (key, speaker, counts, slice labels) as a table; a rate that was not counted has zeros."""
    wanted = {name for rate in RATES for name in (*rate.errors, *rate.of)}
    wanted |= {f"bin{index}_{part}" for index in range(BINS) for part in ("words", "hits", "micro")}
    columns = tuple(sorted(wanted.union(*(counts for _, _, counts, _ in rows))))
    place = {name: index for index, name in enumerate(columns)}
    matrix = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for row, (_, _, counts, _) in enumerate(rows):
        for name, value in counts.items():
            matrix[row, place[name]] = value
    return ScoreTable(
        tuple(row[0] for row in rows), columns, matrix, tuple(row[1] for row in rows), tuple(row[3] for row in rows)
    )


def column_view(columns: Sequence[str], sums: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Return column sums, shape (..., columns), by name."""
    return {name: sums[..., index] for index, name in enumerate(columns)}


def estimate_rates(table: ScoreTable, rates: Sequence[Rate] = RATES, draws: int = DRAWS) -> dict[str, Estimate]:
    """Return each rate with its bootstrap interval, resampling speakers where there are enough of them."""
    rows = cluster_rows(table.counts, table.speakers)
    sums = column_view(table.columns, table.counts.sum(axis=0).astype(np.float64))
    drawn = column_view(table.columns, resample_sums(rows, draws, SEED)) if len(rows) and draws else None
    return {rate.key: _estimate(rate, sums, drawn) for rate in rates}


def _estimate(rate: Rate, sums: Mapping[str, Floats], drawn: Mapping[str, Floats] | None) -> Estimate:
    value = float(rate.compute(sums))
    errors = int(sum(sums[name] for name in rate.errors))
    events = int(sum(sums[name] for name in rate.of))
    enough = events >= max(rate.evidence, 1)
    if math.isnan(value):
        return Estimate(None, None, None, errors, events, False)
    interval = percentile_interval(rate.compute(drawn)) if drawn else None
    low, high = interval or (None, None)
    proportion = rate.form == "ratio" and rate.percent
    if proportion and errors == 0 and high is not None:
        high = upper_bound_of_none(events)
    if proportion and errors == events and rate.higher_is_better and low is not None:
        low = 1.0 - upper_bound_of_none(events)
    return Estimate(value, low, high, errors, events, enough)


def estimate_slices(
    table: ScoreTable, name: str, rates: Sequence[Rate], draws: int = DRAWS
) -> dict[str, dict[str, Estimate]]:
    """Return the estimates of each value of one slice."""
    return {value: estimate_rates(part, rates, draws) for value, part in table.slices(name).items()}
