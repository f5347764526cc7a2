"""From a lexicon's phrases to the token rows of all their forms: casings, spoken forms, with and without a space.

Owns what is left out, and says so: ordinary words, commands, what a model cannot spell. Knows nothing of trees.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medstt.engine.bias.option import BiasOptions
from medstt.engine.token import TokenTable
from medstt.errors import VocabError
from medstt.vocab.term import BiasPhrase

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

MOST_PHRASES = 100_000
MOST_TOKENS = 32  # of one phrase; longer ones are sentences
LETTERS = 4  # fewer are abbreviations, and the beginning of too many words
PAD = -1
_SHOWN = 3  # examples in a warning


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Every form of every phrase as one row of tokens, padded with -1, and its weight; and what was left out.

    A form that stands at the very beginning of a text, without a space, has ``start`` as its first token.
    """

    tokens: Ints
    weights: Floats
    start: int
    phrases: int
    warnings: tuple[str, ...]


def spell(table: TokenTable, phrases: Sequence[BiasPhrase], options: BiasOptions, commands: Collection[str]) -> Rows:
    """Return the rows of all phrases worth favouring.

    Left out, with a warning where they are not the built-in vocabulary's, are phrases that are a dictation command,
    that the model writes in whole tokens (its tokenizer was made from frequent words: those need no help and must not
    be favoured), that are shorter than four letters, or that it cannot spell. Raises VocabError for more than
    100,000 phrases.
    """
    if len(phrases) > MOST_PHRASES:
        raise VocabError(
            f"the vocabulary holds {len(phrases)} phrases to listen for, the most is {MOST_PHRASES}",
            "Leave out the terms that are not used, or give the terms of one department",
        )
    forms, weights, left_out = _forms(phrases, options, commands)
    own = {form.lower() for phrase in phrases if phrase.layer != "builtin" for form in (phrase.text, *phrase.spoken)}
    spaced = table.encode_all([f" {form}" for form in forms])
    bare = table.encode_all(forms)
    rows: list[list[int]] = []
    kept: list[float] = []
    pairs = zip(forms, spaced, strict=True)
    ordinary = {form.lower() for form, tokens in pairs if 0 < len(tokens) <= form.count(" ") + 1}
    unspellable: list[str] = []
    for form, weight, tokens, opening in zip(forms, weights, spaced, bare, strict=True):
        if form.lower() in ordinary:
            continue
        if not tokens or len(tokens) > MOST_TOKENS or not table.can_say(tokens):
            unspellable.append(form)
        else:
            rows += (tokens, [table.size, *opening])
            kept += (weight, weight)
    warnings = [
        *_warn("spoken commands", left_out["commands"]),
        *_warn("of fewer than four letters", left_out["short"]),
        *_warn("ordinary words", sorted(ordinary & own)),
        *_warn("beyond what this model can spell", sorted({form.lower() for form in unspellable} & own)),
    ]
    if left_out["double"]:
        warnings.append(f"{len(left_out['double'])} terms are listed twice; the higher weight counts")
    if not rows and (own or not phrases):
        warnings.append("the vocabulary holds no term to listen for")
    return Rows(_pad(rows), np.array(kept, np.float32), table.size, len(phrases), tuple(warnings))


def _forms(
    phrases: Sequence[BiasPhrase], options: BiasOptions, commands: Collection[str]
) -> tuple[list[str], list[float], dict[str, list[str]]]:
    """Return the written forms with weights, each once, and the phrases left out by reason."""
    weights: dict[str, float] = {}
    left_out: dict[str, list[str]] = {"commands": [], "short": [], "double": []}
    seen: set[str] = set()
    for phrase in phrases:
        weight = phrase.weight * options.weigh(phrase.layer)
        own = phrase.layer != "builtin"
        if own and phrase.text in seen:
            left_out["double"].append(phrase.text)
        if own:
            seen.add(phrase.text)
        for written in (phrase.text, *phrase.spoken):
            text = written.strip()
            if text.lower() in commands:
                left_out["commands"] += [text] if own else []
            elif sum(map(str.isalpha, text)) < LETTERS:
                left_out["short"] += [text] if own else []
            else:
                for form in (text, text.lower(), text[:1].upper() + text[1:]):
                    if weight > weights.get(form, 0.0):
                        weights[form] = weight
    return list(weights), list(weights.values()), left_out


def _warn(what: str, terms: Sequence[str]) -> list[str]:
    if not terms:
        return []
    shown = ", ".join(terms[:_SHOWN]) + (", ..." if len(terms) > _SHOWN else "")
    return [f"{len(terms)} terms are {what} and not favoured: {shown}"]


def _pad(rows: Sequence[Sequence[int]]) -> Ints:
    """Return rows of different lengths as one array, padded with -1."""
    lengths = np.array([len(row) for row in rows], np.int64)
    padded = np.full((len(rows), int(lengths.max(initial=1))), PAD, np.int32)
    if len(rows):
        flat = np.concatenate([np.array(row, np.int32) for row in rows])
        padded[np.arange(padded.shape[1])[None] < lengths[:, None]] = flat
    return padded
