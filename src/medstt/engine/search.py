"""Greedy and beam search over a backend's steps, with a bias of its own for every item and every beam.

Knows nothing of audio, words or languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from medstt.engine.backend import Array, Backend, Cache, Memory, Tokens
from medstt.engine.guard import is_loop
from medstt.engine.protocol import Bias, Bonus

Ending = Literal["end", "length", "loop"]
_CHECK_EVERY = 8  # tokens between two looks for a loop
_NEAR = 10.0  # nats below the best token within which candidates are first looked for


@dataclass(frozen=True, slots=True)
class Rules:
    """Which token ends a text, what is added to the logits of the first and of later tokens, how loops are met."""

    end: int
    first: Array
    later: Array
    look_for_loops: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """One reading: its tokens, the model's own log-probability of each (and of the end), and the biased score."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    score: float
    ending: Ending

    @property
    def logprob(self) -> float:
        """Mean log-probability per token, the end counted."""
        return sum(self.logprobs) / max(1, len(self.logprobs))


@dataclass(frozen=True, slots=True)
class _Beam:
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    score: float = 0.0
    state: Any = None

    def close(self, ending: Ending) -> Candidate:
        return Candidate(self.tokens, self.logprobs, self.score, ending)


@dataclass(slots=True)
class _Item:
    """One clip's search: live beams, finished readings."""

    beams: list[_Beam]
    width: int
    limit: int
    bias: Bias | None
    finished: list[Candidate] = field(default_factory=list)
    done: bool = False

    def extend(self, logprobs: Array, rules: Rules) -> list[int]:
        """Take one step from the beams' rows (beams, vocabulary); return each new beam's parent."""
        choices: list[tuple[float, int, int, float]] = []  # score, beam, token, log-probability
        for number, beam in enumerate(self.beams):
            row = logprobs[number]
            for token, gain in _best(row, 2 * self.width, self.bias, beam.state):
                choices.append((beam.score + gain, number, token, float(row[token])))
        choices.sort(key=lambda choice: choice[0], reverse=True)
        beams: list[_Beam] = []
        parents: list[int] = []
        for score, number, token, logprob in choices:
            beam = self.beams[number]
            if token == rules.end:
                self.finished.append(Candidate(beam.tokens, (*beam.logprobs, logprob), score, "end"))
            elif score > -np.inf:
                state = self.bias.advance(beam.state, token) if self.bias else None
                beams.append(_Beam((*beam.tokens, token), (*beam.logprobs, logprob), score, state))
                parents.append(number)
                if len(beams) == self.width:
                    break
        self._close(beams, rules.look_for_loops)
        if self.done:
            return list(range(len(self.beams)))
        self.beams = beams + [beams[-1]] * (self.width - len(beams))
        return parents + [parents[-1]] * (self.width - len(parents))

    def _close(self, beams: list[_Beam], look_for_loops: bool) -> None:
        """Decide whether the search is over: enough readings, no beams, too long, or going round in circles."""
        if len(self.finished) >= self.width or not beams:
            self.done = True
        elif len(beams[0].tokens) >= self.limit:
            self.finished += [beam.close("length") for beam in beams]
            self.done = True
        elif look_for_loops and len(beams[0].tokens) % _CHECK_EVERY == 0 and is_loop(beams[0].tokens):
            self.finished.append(beams[0].close("loop"))
            self.done = True


@dataclass(frozen=True, slots=True)
class Begun:
    """A batch that was fed its prompts: log-probabilities (items, vocabulary) of the first token, a row of cache each.

    ``before`` are the log-probabilities after the prompts' first token, nothing left out.
    """

    before: Array
    first: Array
    cache: Cache


def begin(backend: Backend, memory: Memory, prompts: Tokens, rules: Rules) -> Begun:
    """Feed the whole ``prompts`` (items, n) in one step: each costs as much as a token of the text."""
    nothing = np.zeros_like(rules.first)
    take = [0, prompts.shape[1] - 1]
    logprobs, cache = backend.step(memory, backend.begin(memory, 1), prompts, take, nothing)
    allowed = logprobs[:, 1] + rules.first
    top = allowed.max(axis=-1, keepdims=True)
    total = np.log(np.exp(allowed - top).sum(axis=-1, keepdims=True)) + top
    return Begun(logprobs[:, 0], allowed - total, cache)


def search(
    backend: Backend,
    memory: Memory,
    cache: Cache,
    first: Array,
    rules: Rules,
    *,
    beams: int,
    limits: Sequence[int],
    biases: Sequence[Bias | None],
) -> list[list[Candidate]]:
    """Decode a batch on from ``first`` (items, vocabulary), log-probabilities after prompts that ``cache`` was fed.

    ``limits`` are the most tokens for each item: the search always ends. Returns each item's readings, best first by
    biased score per token; one beam gives one reading.
    """
    if beams == 1:
        lines = [_Line(limit, bias) for limit, bias in zip(limits, biases, strict=True)]
        return [[found] for found in _follow(backend, memory, cache, first, rules, lines)]
    items = [
        _Item([_Beam(state=bias.start() if bias else None)], beams, limit, bias)
        for limit, bias in zip(limits, biases, strict=True)
    ]
    logprobs = first[:, None]
    active = list(items)
    width = 1  # rows per item; ``beams`` after the first step
    while True:
        parents = [
            row * width + parent
            for row, item in enumerate(active)
            for parent in (
                _idle(beams) if item.done else item.extend(logprobs[row * width : (row + 1) * width, 0], rules)
            )
        ]
        alive = [row for row, item in enumerate(active) if not item.done]
        if not alive:
            return [_ranked(item.finished) for item in items]
        if len(alive) * 2 <= len(active):  # what is finished costs time in every step, dropping it costs a copy once
            memory = backend.select(memory, alive)
            parents = [parents[row * beams + beam] for row in alive for beam in range(beams)]
            active = [active[row] for row in alive]
        if parents != list(range(len(logprobs))):
            cache = backend.reorder(cache, np.array(parents))
        width = beams
        tokens = [beam.tokens[-1] if beam.tokens else rules.end for item in active for beam in _rows(item, beams)]
        logprobs, cache = backend.step(memory, cache, np.array(tokens)[:, None], [0], rules.later)


@dataclass(slots=True)
class _Line:
    """One clip's greedy reading as it grows."""

    limit: int
    bias: Bias | None
    state: Any = None
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    score: float = 0.0
    ending: Ending | None = None

    def __post_init__(self) -> None:
        self.state = self.bias.start() if self.bias else None

    def bonus(self) -> Bonus | None:
        """Return what the bias adds to the next token; nothing more once the reading is finished."""
        return self.bias.bonus(self.state) if self.bias is not None and self.ending is None else None

    def take(self, token: int, logprob: float, gain: float, rules: Rules) -> None:
        """Go on with a token, or end."""
        self.score += gain
        self.logprobs.append(logprob)
        if token == rules.end:
            self.ending = "end"
            return
        self.tokens.append(token)
        if self.bias is not None:
            self.state = self.bias.advance(self.state, token)
        if len(self.tokens) >= self.limit:
            self.ending = "length"
        elif rules.look_for_loops and len(self.tokens) % _CHECK_EVERY == 0 and is_loop(self.tokens):
            self.ending = "loop"


def _follow(
    backend: Backend, memory: Memory, cache: Cache, first: Array, rules: Rules, lines: Sequence[_Line]
) -> list[Candidate]:
    """Take the best token of every line until all have ended; finished ones run along until half have."""
    logprobs = first[:, None]
    active = list(lines)
    while True:
        rows = logprobs[:, 0]
        tokens, gains = _best_of_each(rows, [line.bonus() for line in active])
        for row, line in enumerate(active):
            if line.ending is None:
                line.take(tokens[row], float(rows[row, tokens[row]]), gains[row], rules)
        alive = [row for row, line in enumerate(active) if line.ending is None]
        if not alive:
            return [
                Candidate(tuple(line.tokens), tuple(line.logprobs), line.score, line.ending or "end") for line in lines
            ]
        if len(alive) * 2 <= len(active):
            memory, cache = backend.select(memory, alive), backend.reorder(cache, np.array(alive))
            active, tokens = [active[row] for row in alive], [tokens[row] for row in alive]
        logprobs, cache = backend.step(memory, cache, np.array(tokens)[:, None], [0], rules.later)


def _best_of_each(rows: Array, bonuses: Sequence[Bonus | None]) -> tuple[list[int], list[float]]:
    """Return the best token of every row (rows, vocabulary) and its biased log-probability.

    What may begin a phrase anywhere is added to all rows at once where they share it, as a batch of one list does.
    """
    others = rows
    bases = [None if bonus is None else bonus.base for bonus in bonuses]
    some = next((base for base in bases if base is not None), None)
    if some is not None:
        alike = all(base is some for base in bases)
        others = rows + (some if alike else np.stack([np.zeros_like(some) if one is None else one for one in bases]))
    best = others.argmax(axis=1)
    tokens: list[int] = best.tolist()
    gains: list[float] = others[np.arange(len(rows)), best].tolist()
    for row, bonus in enumerate(bonuses):
        if bonus is None:
            continue
        gains[row] += bonus.rest
        if len(bonus.tokens):
            favoured = rows[row, bonus.tokens] + bonus.values
            place = favoured.argmax()
            if favoured[place] > gains[row]:
                tokens[row], gains[row] = int(bonus.tokens[place]), float(favoured[place])
    return tokens, gains


def _idle(beams: int) -> list[int]:
    return [0] * beams


def _rows(item: _Item, beams: int) -> list[_Beam]:
    """Return exactly ``beams`` beams; a finished item keeps its rows until it is dropped."""
    return (item.beams * beams)[:beams]


def _ranked(candidates: list[Candidate]) -> list[Candidate]:
    """Sort by score per token; of equal texts the best stays."""
    best: dict[tuple[int, ...], Candidate] = {}
    for candidate in sorted(candidates, key=lambda one: one.score / max(1, len(one.logprobs)), reverse=True):
        best.setdefault(candidate.tokens, candidate)
    return list(best.values())


def _best(row: Array, count: int, bias: Bias | None, state: Any) -> list[tuple[int, float]]:
    """Return the ``count`` best tokens of one row with their biased log-probabilities.

    A bias may list thousands of tokens: the best of them and the best of the row are found apart and then compared.
    """
    bonus = bias.bonus(state) if bias else None
    if bonus is None:
        return [(token, float(row[token])) for token in _top(row, count)]
    others = row if bonus.base is None else row + bonus.base
    gains = {token: float(others[token]) + bonus.rest for token in _top(others, count)}
    if len(bonus.tokens):
        favoured = row[bonus.tokens] + bonus.values
        for place in _top(favoured, count):
            token = int(bonus.tokens[place])
            gains[token] = max(float(favoured[place]), gains.get(token, -np.inf))
    return sorted(gains.items(), key=lambda pair: pair[1], reverse=True)[:count]


def _top(row: Array, count: int) -> list[int]:
    """Return the indices of the ``count`` largest values, in no order."""
    if len(row) <= count:
        return list(range(len(row)))
    near = np.flatnonzero(row >= row.max() - _NEAR)
    if len(near) < count:
        near = np.argpartition(row, -count)[-count:]
    elif len(near) > count:
        near = near[np.argpartition(row[near], -count)[-count:]]
    found: list[int] = near.tolist()
    return found
