"""Learning how strongly to listen for names: a small search on development speech, and the model's card.

Owns what is gained against what it may cost. Knows nothing of how speech is decoded or scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medstt.engine.bias import BiasOptions, NameLists
from medstt.engine.bias.option import CARD_KEY
from medstt.engine.checkpoint import WEIGHT_KEY
from medstt.engine.protocol import Engine
from medstt.engine.whisper import WhisperEngine
from medstt.errors import DataError
from medstt.evaluate.item import Item
from medstt.evaluate.listening import Arm, Outcome, Progress, compare_arms
from medstt.registry.card import read_card, write_card
from medstt.vocab import Lexicon

BOOSTS = (0.5, 1.0, 2.0)
ENTRIES = (0.0, 0.25)
REPLACES = (-2.0, 0.0, 3.0)
LETTERS = (1.0, 2.5)  # for models with a head that hears letters
MOST_WER_LOSS = 0.003  # of speech without a drug
MOST_SPURIOUS = 0.003  # more terms that nobody said, of all words
DECODER_WEIGHTS = (0.0, 0.4, 0.8, 1.2)  # for those as well
NOTHING = "none"
NEVER = -20.0  # nats: no name replaces anything
_NO_SECOND_LOOK = {"replace": NEVER, "doubt": 0.0, "keep": 0.0, "letters": 0.0}


@dataclass(frozen=True, slots=True)
class Tuned:
    """The values that won, every value tried with what it came to, and whether they are better than no list.

    ``decoder_weight`` is None for a model without a head that hears letters.
    """

    options: BiasOptions
    tried: tuple[tuple[BiasOptions, Outcome], ...]
    without: Outcome
    better: bool
    decoder_weight: float | None = None


def tune_bias(
    engine: Engine,
    items: Sequence[Item],
    lexicons: Mapping[str, Lexicon],
    lists: NameLists,
    *,
    beam: int = 1,
    progress: Progress = lambda done, total: None,
) -> Tuned:
    """Return the values that miss the fewest drugs without harm, first of the bias, then of the second look.

    No harm: speech without a drug loses at most 0.3 WER points, look-alike swaps do not rise, no list is beaten in
    drugs missed, terms that nobody said rise by at most 0.3 points of the words. Where nothing gains, the built-in
    vocabulary is not favoured. Raises DataError without drugs, or nothing but drugs.
    """
    groups = {item.utterance.tags.get("names") for item in items}
    if "no drug" not in groups or not groups - {"no drug"}:
        raise DataError("tuning needs speech with drugs and speech without", "Add the part that is missing")
    weight: float | None = None
    if engine.capabilities.letters and isinstance(engine, WhisperEngine):
        weight = tune_decoder_weight(engine, items, lists, progress)
        engine = engine.weighing(weight)
    first = [
        BiasOptions(boost=boost, entry=entry, builtin=1.0, **_NO_SECOND_LOOK) for boost in BOOSTS for entry in ENTRIES
    ]
    without, tried = _try(engine, items, lexicons, lists, first, beam, progress)
    best = choose(without, tried)
    plain = BiasOptions()
    base = replace(best, doubt=plain.doubt, keep=plain.keep) if best else plain
    weights = LETTERS if engine.capabilities.letters else (0.0,)
    second = [replace(base, replace=value, letters=weight) for weight in weights for value in REPLACES]
    without, more = _try(engine, items, lexicons, lists, second, beam, progress)
    final = choose(without, [*([] if best is None else [one for one in tried if one[0] == best]), *more])
    chosen = final or BiasOptions(replace=NEVER)
    return Tuned(chosen, (*tried, *more), without, final is not None, weight)


def tune_decoder_weight(
    engine: WhisperEngine, items: Sequence[Item], lists: NameLists, progress: Progress = lambda done, total: None
) -> float:
    """Return the weight of the decoder beside the letters with the fewest word errors, without any list."""
    errors = {
        weight: compare_arms(
            engine.weighing(weight), items, [Arm(NOTHING, None)], lists, draws=0, progress=progress
        )[0].value("all", "wer_content")
        for weight in DECODER_WEIGHTS
    }  # fmt: skip
    return min(errors, key=lambda weight: errors[weight])


def choose(without: Outcome, tried: Sequence[tuple[BiasOptions, Outcome]]) -> BiasOptions | None:
    """Return the harmless values that miss the fewest drugs (of equal ones the weakest), None if none gains."""
    most = without.value("no drug", "wer_content") + MOST_WER_LOSS
    swaps = without.value("all", "twin_swap")
    missed = without.value("all", "drug_miss")
    spurious = without.value("all", "term_spurious") + MOST_SPURIOUS
    harmless = [
        (outcome.value("all", "drug_miss"), options.boost, options.entry, options.replace, place)
        for place, (options, outcome) in enumerate(tried)
        if outcome.value("no drug", "wer_content") <= most
        and outcome.value("all", "twin_swap") <= swaps
        and outcome.value("all", "term_spurious") <= spurious
        and outcome.value("all", "drug_miss") < missed
    ]
    return tried[min(harmless)[-1]][0] if harmless else None


def _try(
    engine: Engine,
    items: Sequence[Item],
    lexicons: Mapping[str, Lexicon],
    lists: NameLists,
    options: Sequence[BiasOptions],
    beam: int,
    progress: Progress,
) -> tuple[Outcome, list[tuple[BiasOptions, Outcome]]]:
    arms = [Arm(NOTHING, None), *(Arm(str(number), lexicons, one) for number, one in enumerate(options))]
    without, *rest = compare_arms(engine, items, arms, lists, beam=beam, draws=0, progress=progress)
    return without, list(zip(options, rest, strict=True))


def write_tuned(folder: Path, tuned: Tuned, about: Mapping[str, Any]) -> None:
    """Put the values into a model's card, with what they were tuned on; verdicts and digests are not touched."""
    card = read_card(folder)
    weight = {} if tuned.decoder_weight is None else {WEIGHT_KEY: tuned.decoder_weight}
    write_card(folder, replace(card, extra={**card.extra, CARD_KEY: {**tuned.options.encode(), **weight, **about}}))
