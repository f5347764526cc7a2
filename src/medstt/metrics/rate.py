"""Every rate the project reports, as data: which counts over which, in words, and where the definition comes from.

A rate is computed from sums of counts, of one utterance, a slice or a bootstrap draw alike. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from medstt.metrics.confidence import BINS
from medstt.metrics.critical import KINDS

Floats = npt.NDArray[np.float64]
Group = Literal["words", "critical", "terms", "document", "invented", "confidence", "speed"]


@dataclass(frozen=True, slots=True)
class Rate:
    """``errors`` over ``of``: names of count columns, summed.

    ``form`` "information_lost" is WIL over hits, reference and hypothesis words; "calibration" the gap of confidence
    bins (see ``confidence``). With fewer events than ``evidence`` a figure is "not enough evidence" (0: any will do).
    """

    key: str
    title: str
    group: Group
    errors: tuple[str, ...]
    of: tuple[str, ...]
    formula: str
    source: str = "this project"
    higher_is_better: bool = False
    evidence: int = 0
    form: Literal["ratio", "information_lost", "calibration"] = "ratio"
    percent: bool = True

    def compute(self, sums: Mapping[str, Floats]) -> Floats:
        """Return the rate for sums of counts (arrays of any one shape); NaN where nothing was there to be scored."""
        below = sum((sums[name] for name in self.of), np.float64(0)) * np.ones(())
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.form == "information_lost":
                hits, heard = sums[self.errors[0]], sums[self.errors[1]]
                kept = np.where(heard > 0, hits / below * hits / np.where(heard > 0, heard, 1), 0.0)
                return np.where(below > 0, 1.0 - kept, np.nan)
            if self.form == "calibration":
                gaps = [np.abs(sums[f"bin{i}_hits"] - sums[f"bin{i}_micro"] / 1e6) for i in range(BINS)]
                return np.where(below > 0, np.sum(gaps, axis=0) / below, np.nan)
            above = sum((sums[name] for name in self.errors), np.float64(0)) * np.ones(())
            return np.where(below > 0, above / below, np.nan)


def _words(level: str, title: str) -> Rate:
    return Rate(
        f"wer_{level}", title, "words", tuple(f"{level}_{x}" for x in ("substitutions", "deletions", "insertions")),
        (f"{level}_length",), f"(S + D + I) / N, {level} normaliser", "jiwer",
    )  # fmt: skip


_TITLES = {
    "negation": "Negation lost or gained", "side": "Side wrong", "number": "Number wrong", "dose": "Dose wrong",
    "unit": "Unit wrong", "comparison": "Comparison sign wrong", "date": "Date wrong",
    "opposite": "Opposite (hyper/hypo) swapped",
}  # fmt: skip
EVIDENCE = 200  # events per critical kind
DRUG_STATUSES = ("heard", "lexicon", "unknown")
SAID = {"0": "never", "1_9": "1-9 times", "10_99": "10-99 times", "100": "100 times and more"}


def _critical_rates() -> list[Rate]:
    return [
        Rate(
            f"critical_{kind}", _TITLES[kind], "critical",
            tuple(f"{kind}_{how}" for how in ("lost", "gained", "swapped")), (f"{kind}_events",),
            "(lost + gained + swapped) / facts of the kind in the reference", "this project",
            evidence=EVIDENCE,
        )
        for kind in KINDS
    ]  # fmt: skip


def _term_rates() -> list[Rate]:
    status = {"heard": "Drugs heard in training, missed", "lexicon": "Drugs known to the lexicon only, missed",
              "unknown": "Drugs unknown to training and lexicon, missed"}  # fmt: skip
    return [
        Rate("mwer", "M-WER", "terms", ("term_word_errors",), ("term_words",),
             "(S + D) / words, over the words of lexicon terms in the reference", "Afonja et al. 2024"),
        Rate("term_recall", "Term recall", "terms", ("term_hits",), ("term_events",),
             "terms whose every word came out / terms in the reference", higher_is_better=True, evidence=EVIDENCE),
        Rate("term_precision", "Term precision", "terms", ("term_matched",), ("term_heard",),
             "terms of the hypothesis that were said / terms in the hypothesis", higher_is_better=True),
        Rate("term_spurious", "Spurious terms", "terms", ("term_spurious",), ("content_length",),
             "terms of the hypothesis that were not said / reference words"),
        Rate("drug_miss", "Drug names missed", "terms", ("drug_missed",), ("drug_events",),
             "drug and brand names with a wrong word / drug and brand names in the reference", evidence=EVIDENCE),
        *(
            Rate(f"drug_miss_{name}", status[name], "terms", (f"drug_{name}_missed",), (f"drug_{name}_events",),
                 "as drug names missed, of that status alone", evidence=EVIDENCE)
            for name in DRUG_STATUSES
        ),
        *(
            Rate(f"drug_miss_said_{name}", f"Drugs that training said {times}, missed", "terms",
                 (f"drug_said_{name}_missed",), (f"drug_said_{name}_events",),
                 "as drug names missed, of those that training texts say so often", evidence=50)
            for name, times in SAID.items()
        ),
        Rate("twin_swap", "Look-alike swaps", "critical", ("twin_swaps",), ("twin_events",),
             "terms that came out as one of their look-alikes / terms that have look-alikes", evidence=EVIDENCE),
    ]  # fmt: skip


def _document_rates() -> list[Rate]:
    return [
        Rate("entity_words", "Formatted entities, from given words", "document", ("entity_given_hits",),
             ("entity_events",), "reference entities written alike in the document made from the reference words",
             higher_is_better=True),
        Rate("entity_audio", "Formatted entities, from audio", "document", ("entity_audio_hits",), ("entity_events",),
             "reference entities written alike in the document made from audio", higher_is_better=True),
        Rate("punctuation_error", "Punctuation errors", "document", ("mark_errors",), ("mark_events",),
             "marks lost, gained or changed between aligned words / marks in the reference document"),
        Rate("section_accuracy", "Sections right", "document", ("section_hits",), ("section_events",),
             "section titles of the reference document found in the same order", higher_is_better=True),
    ]  # fmt: skip


RATES: tuple[Rate, ...] = (
    _words("content", "WER"),
    _words("plain", "WER, numbers as written"),
    _words("verbatim", "WER, verbatim"),
    Rate("cer", "CER", "words", ("char_errors",), ("char_length",), "as WER, over characters and single spaces",
         "jiwer"),
    Rate("mer", "MER", "words", ("content_substitutions", "content_deletions", "content_insertions"),
         ("content_hits", "content_substitutions", "content_deletions", "content_insertions"),
         "(S + D + I) / (H + S + D + I)", "Morris et al. 2004"),
    Rate("wil", "WIL", "words", ("content_hits", "content_heard"), ("content_length",),
         "1 - (H / N) (H / P)", "Morris et al. 2004", form="information_lost"),
    Rate("perfect", "Utterances without a word error", "words", ("content_perfect",), ("content_utterances",),
         "utterances with S + D + I = 0 / utterances", higher_is_better=True),
    *_critical_rates(),
    *_term_rates(),
    *_document_rates(),
    Rate("invented", "Non-speech with invented words", "invented", ("invented_utterances",), ("empty_references",),
         "utterances without a reference word that got one / utterances without a reference word", evidence=50),
    Rate("loops", "Utterances with a loop", "invented", ("loops",), ("content_utterances",),
         "utterances in which a phrase is repeated three times that was not said three times / utterances"),
    Rate("calibration_error", "Calibration error (ECE)", "confidence", ("bin0_hits",), ("confident_words",),
         "sum over ten bins of |accuracy - confidence|, weighted by words", "Guo et al. 2017", form="calibration"),
    Rate("failed", "Failed requests", "speed", ("failed",), ("requests",), "requests without an answer / requests"),
    Rate("real_time_factor", "Real-time factor", "speed", ("wall_ms",), ("audio_ms",),
         "seconds to transcribe / seconds of audio", percent=False),
    Rate("cpu_factor", "CPU seconds per second of audio", "speed", ("cpu_ms",), ("audio_ms",),
         "CPU seconds / seconds of audio", percent=False),
)  # fmt: skip
RATE: dict[str, Rate] = {rate.key: rate for rate in RATES}


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a run that is no rate of counts: its key in the run's document, what it is, and its source."""

    key: str
    title: str
    formula: str
    source: str = "this project"


FIGURES: tuple[Figure, ...] = (
    Figure("terms", "Terms by kind", "terms with a wrong word / terms in the reference, of each kind in the lexicon"),
    Figure("reliability", "Reliability curve", "its mean, and the share of words that are right, per tenth",
           "DeGroot and Fienberg 1983"),
    Figure("errors_found", "Errors found by review",
           "wrong words among the 5, 10, 20 % of words of least confidence / wrong words"),
    Figure("p50_ms", "Latency p50", "median of the milliseconds from request to answer", "numpy"),
    Figure("p95_ms", "Latency p95", "95th percentile of the milliseconds from request to answer", "numpy"),
    Figure("peak_memory_mb", "Peak memory", "largest resident set of one process of the system, MiB", "getrusage"),
    Figure("verdicts", "Utterances better, same, worse",
           "word errors + 5 * critical errors of an utterance, before against after"),
)  # fmt: skip
