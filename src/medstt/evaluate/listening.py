"""What listening for names gains and costs: one model over the same speech with several lists, taken in turns.

Owns lists of every size and the groups of utterances they are judged by. Knows nothing of cards or terminals.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from medstt.engine.bias import BiasOptions, NameLists
from medstt.engine.protocol import DecodeOptions, Engine
from medstt.evaluate.answer import Answer, ask
from medstt.evaluate.item import Item, sample_items
from medstt.evaluate.lexicon import open_spotter
from medstt.evaluate.local import MedsttSystem
from medstt.evaluate.score import Scorer, score_items
from medstt.evaluate.system import SystemOptions
from medstt.evaluate.table import DRAWS, Estimate, ScoreTable, estimate_rates, tabulate
from medstt.metrics.rate import RATE
from medstt.transcriber import TranscribeOptions, Transcriber
from medstt.values import LANGUAGES, Language
from medstt.vocab import Lexicon, Term, load_lexicon
from medstt.vocab.benchmark import make_terms
from medstt.vocab.bias import BIASED_KINDS
from medstt.vocab.fold import fold
from medstt.vocab.holdout import is_held_out

MEASURED = ("drug_miss", "twin_swap", "term_spurious", "wer_content")
HEARD, UNHEARD, ABSENT, NO_DRUG = "heard", "never heard", "absent", "no drug"
GROUPS = (HEARD, UNHEARD, ABSENT, NO_DRUG)
_ABSENT_SHARE = 4  # one in four held-out names is in no list
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to listen: its label, the lists by language (None: no list) and the weights."""

    label: str
    lexicons: Mapping[str, Lexicon] | None
    options: BiasOptions = field(default_factory=BiasOptions)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one arm came to: rates by group (and "all"), and CPU milliseconds per second of audio."""

    label: str
    rates: Mapping[str, Mapping[str, Estimate]]
    cpu_ms_per_s: float
    table: ScoreTable

    def value(self, group: str, rate: str) -> float:
        """Return a rate; 0 where nothing was there to be scored."""
        found = self.rates.get(group, {}).get(rate)
        return found.value if found and found.value is not None else 0.0


def is_absent(name: str) -> bool:
    """Tell whether a held-out drug is in no list of this measurement, by the checksum of its name."""
    return zlib.crc32(f"absent {fold(name)}".encode()) % _ABSENT_SHARE == 0


def group_items(items: Sequence[Item]) -> list[Item]:
    """Return items tagged with the group of their drugs: the strangest counts."""
    lexicons = {language: load_lexicon(language) for language in LANGUAGES}
    grouped = []
    for item in items:
        drugs = spoken_drugs(item, lexicons)
        held = [drug for drug in drugs if _is_unheard(drug)]
        absent = any(is_absent(drug.text) for drug in held)
        group = ABSENT if absent else UNHEARD if held else HEARD if drugs else NO_DRUG
        utterance = replace(item.utterance, tags={**item.utterance.tags, "names": group})
        grouped.append(replace(item, utterance=utterance))
    return grouped


def spoken_drugs(item: Item, lexicons: Mapping[Language, Lexicon]) -> list[Term]:
    """Return the drugs and brands of an utterance that a lexicon knows."""
    lexicon = lexicons["de" if item.utterance.lang == "de" else "en"]
    return [found.term for found in lexicon.spot(item.utterance.text.split(), ("drug", "brand"))]


def _is_unheard(drug: Term) -> bool:
    return is_held_out(drug.en or drug.generic or drug.text)


def sample_groups(items: Sequence[Item], count: int) -> list[Item]:
    """Return up to ``count`` items of every group and language, chosen by the checksum of their keys, in order."""
    parts: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        parts.setdefault((item.utterance.tags["names"], item.utterance.lang), []).append(item)
    chosen = {item.key for part in parts.values() for item in sample_items(part, count)}
    return [item for item in items if item.key in chosen]


def make_lists(items: Sequence[Item], size: int) -> Mapping[str, Lexicon] | None:
    """Return a list of ``size`` terms for each language; names that are to be absent are in none. None for 0.

    First the names spoken here that training never heard, then other drugs spoken here, then the lexicon's other
    terms, then invented ones.
    """
    if not size:
        return None
    known = {language: load_lexicon(language) for language in LANGUAGES}
    lists: dict[str, Lexicon] = {}
    for language, lexicon in known.items():
        here = [item for item in items if item.utterance.lang == language]
        spoken = {drug.text for item in here for drug in spoken_drugs(item, known)}
        terms = [
            term for term in lexicon if term.kind in BIASED_KINDS and not (_is_unheard(term) and is_absent(term.text))
        ]
        terms.sort(
            key=lambda term, spoken=spoken: (  # type: ignore[misc]
                not (term.text in spoken and _is_unheard(term)), term.text not in spoken, zlib.crc32(term.text.encode())
            )
        )  # fmt: skip
        chosen = {(term.kind, term.text) for term in terms[:size]}
        kept = lexicon.only(lambda term, chosen=chosen: (term.kind, term.text) in chosen)  # type: ignore[misc]
        missing = size - len(chosen)
        lists[language] = kept.extended([term._replace(language=language) for term in make_terms(missing)])
    return lists


def compare_arms(
    engine: Engine,
    items: Sequence[Item],
    arms: Sequence[Arm],
    lists: NameLists,
    *,
    beam: int = 1,
    draws: int = DRAWS,
    progress: Progress = lambda done, total: None,
) -> list[Outcome]:
    """Return what each arm comes to on the same utterances; every utterance is asked of all arms in turn.

    ``draws`` are those of the bootstrap behind the intervals; 0: none.
    """
    systems = [_open(engine, arm, lists, beam) for arm in arms]
    answers: list[dict[str, Answer]] = [{} for _ in arms]
    for number, item in enumerate(items):
        order = range(len(arms)) if number % 2 == 0 else range(len(arms) - 1, -1, -1)
        for place in order:
            answers[place][item.key] = ask(systems[place], item)
        progress(number + 1, len(items))
    spot, _ = open_spotter()
    return [_judge(arm, items, found, Scorer(spot), draws) for arm, found in zip(arms, answers, strict=True)]


def _open(engine: Engine, arm: Arm, lists: NameLists, beam: int) -> MedsttSystem:
    transcribers: dict[str | None, Transcriber] = {}
    for language in LANGUAGES:
        options = TranscribeOptions(DecodeOptions(language, beam))
        if arm.lexicons is None:
            transcribers[language] = Transcriber(engine, options)
        else:
            names = lists.open(engine, arm.lexicons[language], arm.options)
            transcribers[language] = Transcriber(engine, options, names.bias, names.check)
    transcribers[None] = transcribers["en"]
    return MedsttSystem(transcribers, SystemOptions(beam=beam), arm.label)


def _judge(arm: Arm, items: Sequence[Item], answers: Mapping[str, Answer], scorer: Scorer, draws: int) -> Outcome:
    table = tabulate(score_items(items, answers, scorer))
    sums = table.sums()
    measured = [RATE[key] for key in MEASURED]
    narrow = _columns(table, {name for rate in measured for name in (*rate.errors, *rate.of)})
    parts: dict[str, ScoreTable] = {"all": narrow}
    for name in ("set", "names", "language", "speaker"):
        parts |= narrow.slices(name)
    for name, further in (("names", "language"), ("names", "speaker")):
        for value, part in narrow.slices(name).items():
            parts |= {f"{value}, {other}": finer for other, finer in part.slices(further).items()}
    rates = {name: estimate_rates(part, measured, draws) for name, part in parts.items()}
    return Outcome(arm.label, rates, 1000 * sums.get("cpu_ms", 0) / max(1, sums.get("audio_ms", 0)), table)


def _columns(table: ScoreTable, wanted: Collection[str]) -> ScoreTable:
    places = [place for place, name in enumerate(table.columns) if name in wanted]
    return replace(table, columns=tuple(table.columns[place] for place in places), counts=table.counts[:, places])


def outcome_rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return outcomes as JSON rows: each rate with its interval and numbers, by group, language and voice."""
    return [
        {
            "list": outcome.label,
            "cpu_ms_per_audio_s": round(outcome.cpu_ms_per_s, 2),
            "rates": {group: {key: _row(one) for key, one in rates.items()} for group, rates in outcome.rates.items()},
        }
        for outcome in outcomes
    ]


def _row(estimate: Estimate) -> dict[str, Any]:
    shown = {key: getattr(estimate, key) for key in ("value", "low", "high")}
    rounded = {key: None if value is None else round(value, 5) for key, value in shown.items()}
    return {**rounded, "errors": estimate.errors, "events": estimate.events}
