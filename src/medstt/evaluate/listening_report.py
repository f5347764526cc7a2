"""What listening for names came to, as text: gains and false alarms side by side, by size of list, language and voice.

Knows nothing of how anything was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medstt.evaluate.listening import ABSENT, HEARD, NO_DRUG, UNHEARD, Outcome
from medstt.evaluate.table import Estimate
from medstt.values import LANGUAGES

_SAID = {"en": "English", "de": "German"}
MOST_WER_LOSS = 0.003  # of speech without a drug, that a list of 10,000 terms may cost


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of decoding the same clips with a list of that many terms, and of compiling it; its memory (MiB).

    ``switch_ms`` is the CPU time in which a request gets a list that was compiled before.
    """

    terms: int
    cpu_s: float
    compile_s: float = 0.0
    size_mb: float = 0.0
    switch_ms: float = 0.0


def table_text(outcomes: Sequence[Outcome], language: str = "") -> str:
    """Return one row for each list, in percent with 95 % intervals; of one language, or of all speech."""

    def cell(outcome: Outcome, group: str, rate: str) -> str:
        name = f"{group}, {language}" if group and language else group or language or "all"
        return percent(outcome.rates.get(name, {}).get(rate))

    first = outcomes[0].cpu_ms_per_s
    heads = (
        "list", "missed: heard in training", "missed: never heard, in the list", "missed: in no list",
        "look-alike swaps", "WER without drugs", "invented terms without drugs", "CPU ms/s",
    )  # fmt: skip
    rows = [
        (
            one.label, cell(one, HEARD, "drug_miss"), cell(one, UNHEARD, "drug_miss"), cell(one, ABSENT, "drug_miss"),
            cell(one, "", "twin_swap"), cell(one, NO_DRUG, "wer_content"), cell(one, NO_DRUG, "term_spurious"),
            f"{one.cpu_ms_per_s:.1f} ({100 * (one.cpu_ms_per_s / first - 1):+.0f} %)" if first else "-",
        )
        for one in outcomes
    ]  # fmt: skip
    return _table(heads, rows)


def voices_text(outcomes: Sequence[Outcome]) -> str:
    """Return how many names never heard in training came out, by voice (rows) and list (columns)."""
    voices = sorted(
        name.removeprefix(f"{UNHEARD}, ")
        for name in outcomes[0].rates
        if name.startswith(f"{UNHEARD}, ") and name.removeprefix(f"{UNHEARD}, ") not in LANGUAGES
    )
    rows = []
    for voice in voices:
        found = [outcome.rates.get(f"{UNHEARD}, {voice}", {}).get("drug_miss") for outcome in outcomes]
        rows.append((voice, str(found[0].events if found[0] else 0), *(percent(one, rest=True) for one in found)))
    return _table(("voice", "names", *(outcome.label for outcome in outcomes)), rows)


def report_text(
    title: str, about: Mapping[str, str], outcomes: Sequence[Outcome], stock: str = "", costs: Sequence[Cost] = ()
) -> str:
    """Return the whole report as Markdown; ``about`` are lines of what was measured and how."""
    lines = [f"# {title}", "", *(f"- {key}: {value}" for key, value in about.items()), ""]
    lines += ["Gains (names missed) beside costs (words and terms that nobody said). Percent, 95 % intervals.", ""]
    lines += [table_text(outcomes), ""]
    for language in LANGUAGES:
        if any(language in outcome.rates for outcome in outcomes):
            lines += [f"## {_SAID[language]}", "", table_text(outcomes, language), ""]
    lines += ["## Names never heard in training that came out, by voice", "", voices_text(outcomes), ""]
    verdict = verdict_text(outcomes)
    if verdict:
        lines += ["## Against what was aimed at", "", *verdict, ""]
    if costs:
        base = costs[0].cpu_s
        rows = [
            (
                f"{one.terms} terms", f"{one.cpu_s:.3f}", f"{100 * (one.cpu_s / base - 1):+.1f} %",
                f"{one.compile_s:.2f}", f"{one.size_mb:.1f}", f"{one.switch_ms:.3f}",
            )
            for one in costs
        ]  # fmt: skip
        heads = ("list", "CPU s", "against none", "compiled in CPU s", "MiB", "switched to in ms")
        lines += ["## Speed of a stock model", "", stock, "", _table(heads, rows), ""]
    return "\n".join(lines)


def verdict_text(outcomes: Sequence[Outcome], size: int = 10_000) -> list[str]:
    """Return the aims with what was reached, for the list of ``size`` terms; nothing without them."""
    named = {outcome.label: outcome for outcome in outcomes}
    without, listed = named.get("0 terms"), named.get(f"{size} terms")
    if without is None or listed is None or UNHEARD not in listed.rates or NO_DRUG not in listed.rates:
        return []
    before, after = (1 - outcome.value(UNHEARD, "drug_miss") for outcome in (without, listed))
    lost = listed.value(NO_DRUG, "wer_content") - without.value(NO_DRUG, "wer_content")
    swaps = [outcome.value("all", "twin_swap") for outcome in (without, listed)]
    return [
        _line("names never heard at least doubled, aim 80 %", f"{100 * before:.1f} -> {100 * after:.1f} %",
              after > 0 and after >= 2 * before),
        _line("speech without drugs loses at most 0.3 WER points", f"{100 * lost:+.2f}", lost <= MOST_WER_LOSS),
        _line("look-alike swaps do not rise", f"{100 * swaps[0]:.1f} -> {100 * swaps[1]:.1f} %", swaps[1] <= swaps[0]),
    ]  # fmt: skip


def _line(aim: str, reached: str, met: bool) -> str:
    return f"- {aim}: {reached}, {'reached' if met else 'NOT reached'}"


def percent(estimate: Estimate | None, *, rest: bool = False) -> str:
    """Return a rate in percent with its interval; ``rest``: of what is left to 100."""
    if estimate is None or estimate.value is None:
        return "-"
    values = [estimate.value, estimate.low, estimate.high]
    if rest:
        values = [None if value is None else 1 - value for value in (values[0], values[2], values[1])]
    shown = ["" if value is None else f"{100 * value:.1f}" for value in values]
    return f"{shown[0]} ({shown[1]}-{shown[2]})" if shown[1] and shown[2] else shown[0]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
