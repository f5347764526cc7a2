"""Errors that can harm, each counted on its own: negation, side, number, dose, unit, comparison, date, opposite.

A detector reads the canonical tokens of both sides and compares what stands in each stretch that is not equal, so that
"without fever" for "with no fever" is no error, and a moved "no" is two. Knows nothing of audio or models.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from medstt.metrics.align import Alignment, Region
from medstt.metrics.critical_word import (
    COMPARATIVES,
    DATE_WORDS,
    DOSE_UNITS,
    NEGATION,
    NOT_A_COUNT_AFTER,
    NOT_A_COUNT_BEFORE,
    OPPOSITES,
    PER_VOLUME,
    SIDES,
)
from medstt.text.normalise import Token

Kind = Literal["negation", "side", "number", "dose", "unit", "comparison", "date", "opposite"]
KINDS: tuple[Kind, ...] = ("negation", "side", "number", "dose", "unit", "comparison", "date", "opposite")
How = Literal["lost", "gained", "swapped"]

_QUANTITIES = frozenset({"number", "dose", "date"})  # one may come out as another: 5 mg -> 50
_NAMED_NUMBER = re.compile(r"^[a-zäöü]{1,3}\d+[a-c]?$|^\d+[a-z]$")
_COMPARISONS = frozenset({"<", ">", "<=", ">="})


@dataclass(frozen=True, slots=True)
class Fact:
    """One token that carries a fact: its kind, the value that must not change, and its place."""

    kind: Kind
    value: str
    index: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One critical error: its kind, how, the reference's and the hypothesis's values, and the stretch it lies in."""

    kind: Kind
    how: How
    said: str
    heard: str
    region: Region


def find_facts(tokens: Sequence[Token], language: str) -> list[Fact]:
    """Return the tokens that carry a fact, in order."""
    facts = []
    for index, token in enumerate(tokens):
        fact = (
            _quantity(tokens, index)
            or _sign_or_unit(token)
            or _comparative(tokens, index)
            or _word(token.text, language)
        )
        if fact:
            facts.append(Fact(fact[0], fact[1], index))
    return facts


def _quantity(tokens: Sequence[Token], index: int) -> tuple[Kind, str] | None:
    token = tokens[index]
    if token.kind == "date":
        return "date", token.text
    if token.kind == "ordinal" and token.text != "second":
        return "number", token.text
    if token.kind == "word" and _NAMED_NUMBER.match(token.text):
        return "number", token.text
    if token.kind != "number" or (token.spoken and token.text == "1" and _is_pronoun(tokens, index)):
        return None
    return ("dose" if _is_dose(tokens, index) else "number"), token.text


def _is_dose(tokens: Sequence[Token], index: int) -> bool:
    at = index + 1
    if at + 1 < len(tokens) and tokens[at].text == ".." and tokens[at + 1].kind == "number":
        at += 2  # 5 to 10 mg: both ends
    if at >= len(tokens) or tokens[at].text not in DOSE_UNITS or tokens[at].kind != "unit":
        return False
    per = tokens[at + 2].text if at + 2 < len(tokens) and tokens[at + 1].text == "/" else ""
    return per not in PER_VOLUME  # 5 mg/dl is a laboratory value


def _is_pronoun(tokens: Sequence[Token], index: int) -> bool:
    following = tokens[index + 1].text if index + 1 < len(tokens) else "of"
    previous = tokens[index - 1].text if index else ""
    return following in NOT_A_COUNT_BEFORE or previous in NOT_A_COUNT_AFTER


def _sign_or_unit(token: Token) -> tuple[Kind, str] | None:
    if token.kind == "unit":
        return "unit", token.text
    if token.kind == "sign" and token.text in _COMPARISONS:
        return "comparison", token.text
    return None


def _comparative(tokens: Sequence[Token], index: int) -> tuple[Kind, str] | None:
    """Read "less than a pack": a comparison without a number stays in words."""
    sign = COMPARATIVES.get(tokens[index].text)
    following = tokens[index + 1].text if index + 1 < len(tokens) else ""
    return ("comparison", sign) if sign and following in ("than", "als") else None


def _word(word: str, language: str) -> tuple[Kind, str] | None:
    if NEGATION[language].match(word):
        return "negation", "not"
    for value, pattern in SIDES[language].items():
        if pattern.match(word):
            return "side", value
    if word in DATE_WORDS[language]:
        return "date", word
    for name, pattern in OPPOSITES.items():
        match = pattern.match(word)
        if match:
            return "opposite", f"{name}:{match.group()}"
    return None


def find_critical(
    reference: Sequence[Token], hypothesis: Sequence[Token], alignment: Alignment, language: str
) -> tuple[Counter[Kind], list[Finding]]:
    """Return how many facts of each kind the reference holds, and what became of those that did not come through.

    ``alignment`` is that of the two token sequences. A reference without a token has no critical error: what is said
    there is counted as invented.
    """
    said, heard = find_facts(reference, language), find_facts(hypothesis, language)
    events = Counter(fact.kind for fact in said)
    findings: list[Finding] = []
    if not reference:
        return events, findings
    for region in alignment.regions():
        inside = [fact for fact in said if region.ref_start <= fact.index < region.ref_end]
        outside = [fact for fact in heard if region.hyp_start <= fact.index < region.hyp_end]
        if inside or outside:
            findings.extend(_compare(inside, outside, region))
    return events, findings


def _compare(said: list[Fact], heard: list[Fact], region: Region) -> Iterator[Finding]:
    lost, gained = list(said), []
    for fact in heard:
        same = next((s for s in lost if s.value == fact.value and _comparable(s, fact)), None)
        if same:
            lost.remove(same)
        else:
            gained.append(fact)
    for fact in lost:
        other = next((g for g in gained if _comparable(fact, g)), None)
        if other:
            gained.remove(other)
            yield Finding(fact.kind, "swapped", fact.value, other.value, region)
        elif fact.kind != "opposite":
            yield Finding(fact.kind, "lost", fact.value, "", region)
    for fact in gained:
        if fact.kind != "opposite":
            yield Finding(fact.kind, "gained", "", fact.value, region)


def _comparable(said: Fact, heard: Fact) -> bool:
    if said.kind == "opposite" == heard.kind:
        return said.value.partition(":")[0] == heard.value.partition(":")[0]
    return said.kind == heard.kind or {said.kind, heard.kind} <= _QUANTITIES
