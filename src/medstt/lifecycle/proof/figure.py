"""The figures of a proof from counts per utterance: errors on terms by how often each was heard, words, inventions.

Knows nothing of training or of how figures are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medstt.evaluate.compare import Difference, align_tables, compare_tables
from medstt.evaluate.run import Run
from medstt.evaluate.score import Scorer, score_items
from medstt.evaluate.table import SEED, Estimate, ScoreTable, column_view, estimate_rates, table_of
from medstt.lifecycle.proof.plan import Role
from medstt.metrics.interval import cluster_rows, percentile_interval, resample_sums
from medstt.metrics.rate import RATE, Rate
from medstt.metrics.term import Spotter
from medstt.text.normalise import canonicalise
from medstt.values import Utterance

FEW = 5  # "1-5 times"; above it, more


@dataclass(frozen=True, slots=True)
class Familiarity:
    """How often training texts say each term: those of the base, and what is taught."""

    base: Mapping[str, int]
    taught: Mapping[str, int]

    def groups(self, term: str) -> tuple[str, ...]:
        """Return the groups of terms that one belongs to."""
        heard = self.base.get(term, 0)
        if not self.taught.get(term, 0):
            return ("untaught",) if heard else ("unknown",)
        often = "never" if heard == 0 else "few" if heard <= FEW else "many"
        return ("taught", f"taught_{often}")


def _missed(group: str, title: str) -> Rate:
    formula = "terms of the group with a wrong word / terms of the group in the reference"
    return Rate(f"{group}_miss", title, "terms", (f"{group}_missed",), (f"{group}_events",), formula)


TAUGHT = _missed("taught", "Taught terms missed")
NEVER = _missed("taught_never", "of those, the base never heard")
FEWER = _missed("taught_few", f"of those, the base heard 1-{FEW} times")
MANY = _missed("taught_many", "of those, the base heard more often")
UNKNOWN = _missed("unknown", "Terms never heard, missed")
DRUG_TAUGHT = _missed("drug_heard", "Drug names heard in fine-tuning, missed")
DRUG_LEXICON = _missed("drug_lexicon", "Drug names of the lexicon only, missed")
WER = RATE["wer_content"]
INVENTED = RATE["invented"]
FIGURES: dict[Role, tuple[Rate, ...]] = {
    "clinical": (TAUGHT, NEVER, FEWER, MANY, DRUG_TAUGHT, DRUG_LEXICON, UNKNOWN, WER),
    "general": (WER,),
    "noise": (INVENTED,),
}


@dataclass(frozen=True, slots=True)
class Reduction:
    """By which share (0-1) a rate is lower than another's, with its paired 95 % interval."""

    value: float
    low: float | None
    high: float | None


def count_terms_said(rows: Iterable[Utterance], spot: Spotter) -> Counter[str]:
    """Return how often texts say each term of the lexicon, in whole utterances."""
    counts: Counter[str] = Counter()
    for row in rows:
        tokens = [token.text for token in canonicalise(row.text, row.lang)]
        counts.update({mention.key for mention in spot(tokens, row.lang)})
    return counts


def tabulate_run(run: Run, spot: Spotter, known: Familiarity) -> ScoreTable:
    """Score a run's answers with counts of terms by familiarity beside the usual ones."""
    rows = []
    for scored in score_items(run.items, run.answers(), Scorer(spot)):
        counts: Counter[str] = Counter(scored.counts)
        utterance = scored.item.utterance
        if scored.alignment is not None:
            tokens = [token.text for token in canonicalise(utterance.text, utterance.lang)]
            missed = set(scored.missed)
            for mention in spot(tokens, utterance.lang):
                for group in known.groups(mention.key):
                    counts[f"{group}_events"] += 1
                    counts[f"{group}_missed"] += mention in missed
        rows.append((scored.item.key, utterance.speaker, counts, scored.slices))
    return with_figures(table_of(rows))


def with_figures(table: ScoreTable) -> ScoreTable:
    """Return a table of the columns of our figures alone; what was not counted is zero."""
    wanted = {name for rates in FIGURES.values() for rate in rates for name in (*rate.errors, *rate.of)}
    return table.with_columns(tuple(sorted(wanted | {"failed"})))


def estimate(table: ScoreTable, role: Role, draws: int) -> dict[str, Estimate]:
    """Return a test's figures with their intervals."""
    return estimate_rates(table, FIGURES[role], draws)


def differences(one: ScoreTable, two: ScoreTable, role: Role, draws: int) -> dict[str, Difference]:
    """Return the second table's figures minus the first's, paired."""
    return compare_tables(*align_tables(one, two), draws, FIGURES[role])


def reduction(one: ScoreTable, two: ScoreTable, rate: Rate, draws: int) -> Reduction | None:
    """Return by which share the second table's rate is below the first's; None where the first has no error."""
    one, two = align_tables(one, two)
    width = len(one.columns)
    paired = cluster_rows(np.concatenate([one.counts, two.counts], axis=1), one.speakers)
    if not len(paired):
        return None
    drawn = resample_sums(paired, draws, SEED)
    totals = paired.sum(axis=0).astype(np.float64)
    before = float(rate.compute(column_view(one.columns, totals[:width])))
    after = float(rate.compute(column_view(two.columns, totals[width:])))
    if not before > 0:  # also NaN
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = 1 - rate.compute(column_view(two.columns, drawn[:, width:])) / rate.compute(
            column_view(one.columns, drawn[:, :width])
        )
    low, high = percentile_interval(ratios) or (None, None)
    return Reduction(1 - after / before, low, high)


def worse_share(one: ScoreTable, two: ScoreTable) -> float:
    """Return the share (0-1) of utterances with more word errors in the second table."""
    one, two = align_tables(one, two)
    errors = [sum(column_view(table.columns, table.counts)[name] for name in WER.errors) for table in (one, two)]
    return float(np.mean(np.asarray(errors[1]) > np.asarray(errors[0]))) if one.keys else 0.0


def slice_figures(table: ScoreTable, role: Role, names: Sequence[str], draws: int) -> dict[str, dict[str, Estimate]]:
    """Return a test's figures for each combination of the named slices that occurs, as "en, unseen variant"."""
    rows: dict[str, list[int]] = {}
    for row, labels in enumerate(table.labels):
        rows.setdefault(", ".join(labels.get(name, "-") for name in names), []).append(row)
    return {value: estimate(table.select(found), role, draws) for value, found in sorted(rows.items())}
