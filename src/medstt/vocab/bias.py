"""Which phrases decoding should favour, within a budget of tokens.

Owns the order of importance. Knows nothing of tokenizers but that they count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from medstt.vocab.term import LAYERS, BiasPhrase, Kind, Term

BIASED_KINDS: tuple[Kind, ...] = ("drug", "brand", "name", "condition", "procedure", "anatomy")
LAYER_WEIGHT = {"builtin": 1.0, "site": 1.3, "department": 1.5, "user": 1.7}
KIND_WEIGHT: dict[str, float] = {"name": 1.0, "brand": 1.0, "drug": 1.0, "procedure": 0.8, "condition": 0.8}
OTHER_WEIGHT = 0.6
COMMON_SOURCE = "curated"  # the hand-picked everyday drugs go before rare ones


def estimate_tokens(text: str) -> int:
    """Estimate a phrase's tokens without a tokenizer: one per three and a half letters, at least one a word."""
    return max(len(text.split()), math.ceil(len(text) / 3.5))


def weight(term: Term) -> float:
    """Return how much a term's phrase should be favoured; later layers and drug names more."""
    return round(LAYER_WEIGHT.get(term.layer, 1.0) * KIND_WEIGHT.get(term.kind, OTHER_WEIGHT), 3)


def bias_phrases(
    terms: Iterable[Term], budget: int, kinds: Collection[Kind], count: Callable[[str], int]
) -> list[BiasPhrase]:
    """Choose phrases in order of layer (user first), then kind, then the lexicon's order, until the budget is spent.

    ``budget`` is in tokens as ``count`` counts them. A phrase that no longer fits is passed over for a shorter one. A
    term that stands in a user's layers and elsewhere, too, has its highest weight and the spoken forms of all rows.
    """
    ranks: dict[str, int] = {name: -index for index, name in enumerate(LAYERS)}
    order: dict[str, int] = {kind: index for index, kind in enumerate(kinds)}
    chosen = sorted(
        (term for term in terms if term.kind in order),
        key=lambda term: (ranks.get(term.layer, 0), order[term.kind], not term.source.startswith(COMMON_SOURCE)),
    )
    phrases: list[BiasPhrase] = []
    seen: dict[str, int] = {}  # place in the phrases, -1 for what was passed over
    for term in chosen:
        if budget < 1:
            break
        if term.text in seen:
            place = seen[term.text]
            if term.spoken and place >= 0 and phrases[place].layer != "builtin":
                spoken = tuple(dict.fromkeys((*phrases[place].spoken, *term.spoken)))
                phrases[place] = replace(phrases[place], spoken=spoken)
            continue
        cost = count(term.text)
        seen[term.text] = len(phrases) if cost <= budget else -1
        if cost <= budget:
            budget -= cost
            phrases.append(BiasPhrase(term.text, term.spoken, weight(term), term.layer))
    return phrases
