"""Errors on lexicon terms: words, misses, spurious terms, drug names by how well they are known, look-alike swaps.

Terms come from a spotter over tokens; knows nothing of lexicon files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from medstt.metrics.align import Alignment

DrugStatus = Literal["heard", "lexicon", "unknown"]
DRUG_KINDS = frozenset({"drug", "brand"})
BANDS = ((0, "0"), (9, "1_9"), (99, "10_99"))  # times that training said a drug, up to; above that "100"
MOST = "100"


@dataclass(frozen=True, slots=True)
class Mention:
    """One term in a token sequence: tokens ``start:end``, its kind, its key (the term's canonical name), look-alikes.

    ``status`` says of a drug whether training heard it, only the lexicon knows it, or neither; ``said`` how often
    training texts said it, None where nobody counted.
    """

    key: str
    kind: str
    start: int
    end: int
    status: DrugStatus = "heard"
    twins: frozenset[str] = field(default=frozenset())
    said: int | None = None

    @property
    def band(self) -> str:
        """How often training said it, in classes; empty where nobody counted."""
        return "" if self.said is None else next((name for most, name in BANDS if self.said <= most), MOST)


Spotter = Callable[[Sequence[str], str], list[Mention]]


def unknown_mentions(tokens: Sequence[str], terms: Collection[str], known: Sequence[Mention]) -> list[Mention]:
    """Return a mention, as a drug of status "unknown", for each token that is in ``terms`` and no known term.

    For utterances tagged ``unlisted``: their terms are drugs that neither training nor the lexicon has.
    """
    covered = {index for mention in known for index in range(mention.start, mention.end)}
    wanted = {term.lower() for term in terms}
    return [
        Mention(token, "drug", index, index + 1, "unknown")
        for index, token in enumerate(tokens)
        if token in wanted and index not in covered
    ]


def count_terms(
    alignment: Alignment, reference: Sequence[Mention], hypothesis: Sequence[Mention]
) -> tuple[dict[str, int], list[Mention]]:
    """Return the term counts of one utterance, and the reference mentions that were missed."""
    counts: Counter[str] = Counter()
    hits = alignment.hits()
    missed = []
    for mention in reference:
        words = mention.end - mention.start
        wrong = words - sum(hits[mention.start : mention.end])
        names = ["term", f"kind_{mention.kind}"]
        if mention.kind in DRUG_KINDS:
            names += ["drug", f"drug_{mention.status}", *([f"drug_said_{mention.band}"] if mention.band else [])]
        for name in names:
            counts[f"{name}_events"] += 1
            counts[f"{name}_missed"] += int(wrong > 0)
            counts[f"{name}_hits"] += int(wrong == 0)
            counts[f"{name}_words"] += words
            counts[f"{name}_word_errors"] += wrong
        if wrong:
            missed.append(mention)
    said = Counter(mention.key for mention in reference)
    heard = Counter(mention.key for mention in hypothesis)
    matched = (said & heard).total()
    counts["term_heard"] = heard.total()
    counts["term_matched"] = matched
    counts["term_spurious"] = heard.total() - matched
    counts.update(_twin_counts(alignment, reference, hypothesis))
    return dict(counts), missed


def _twin_counts(
    alignment: Alignment, reference: Sequence[Mention], hypothesis: Sequence[Mention]
) -> Mapping[str, int]:
    """Count terms with look-alikes, and those in whose place one of their look-alikes stands."""
    events = swaps = 0
    regions = list(alignment.regions())
    for mention in reference:
        if not mention.twins:
            continue
        events += 1
        for region in regions:
            if region.ref_start < mention.end and mention.start < region.ref_end:
                inside = [h for h in hypothesis if h.start < region.hyp_end and region.hyp_start < h.end]
                if any(h.key in mention.twins for h in inside):
                    swaps += 1
                    break
    return {"twin_events": events, "twin_swaps": swaps}
