"""Joint search: a decoder that proposes words and letters that were heard hold one another to the audio.

One clip, a few beams. The score of a beginning is what the decoder gives it plus what the best path of the letters
loses by it (connectionist temporal classification and attention together: Watanabe et al. 2017, with best paths for
sums). A decoder that recites is corrected by the letters, letters that are misspelt by the decoder. Where both agree,
one beam is left and few tokens are looked at: letters only ever lose, so what is behind without them stays behind.
Knows nothing of audio or languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from medstt.engine.backend import Array, Backend, Cache, Memory
from medstt.engine.letter import CHARACTERS, Letters, letters_of
from medstt.engine.path import HEARD_LETTERS, NO_LETTER, LetterPaths, Paths, Spelt, stack
from medstt.engine.protocol import Bias, Bonus
from medstt.engine.search import Candidate, Rules
from medstt.engine.token import TokenTable

BEAMS = 4
_BEHIND = 8.0  # nats below the best beam at which another is given up
_BY_DECODER = 12  # tokens a beam may go on with: so many that the decoder thinks likely
_BY_LETTERS = 16  # and so many that begin like what was heard
_WAYS_ON = 24  # a name that was begun with so few ways on has all of them looked at
_FIRST = 8  # candidates that are weighed before all others, to see which of those cannot win
_NO_SPACE = -0.7  # nats for a space that was not heard
_MISMATCH = 0.6
_SURPRISE = 0.1  # the chance that the decoder has no idea: any token is possible then, so no text is ruled out
_UNHEARD = -1.2  # nats a letter: a reading that fits the letters so badly is no ground for names
_KEPT = 4096  # beginnings of what was heard whose likest tokens are remembered
_NOTHING = np.zeros(0, np.int64)

Ints = npt.NDArray[np.int64]


class Spellings:
    """The letters of every token of a model; made once."""

    def __init__(self, table: TokenTable) -> None:
        texts = table.texts()
        found = [letters_of(text.strip()) if _is_spoken(text) else [] for text in texts]
        self.spaced = np.array([text[:1].isspace() for text in texts])
        self.lengths = np.array([len(each) for each in found])
        longest = max(HEARD_LETTERS, int(self.lengths.max(initial=0)))
        self.letters = np.full((len(texts), longest), NO_LETTER, np.int64)
        for token, each in enumerate(found):
            self.letters[token, : len(each)] = each
        self.last = self.letters[np.arange(len(texts)), np.maximum(self.lengths - 1, 0)]
        self.sayable = (self.lengths > 0) & np.array([table.can_say([token]) for token in range(len(texts))])
        self._by_first = [np.flatnonzero(self.sayable & (self.letters[:, 0] == n)) for n in range(len(CHARACTERS))]
        self._like = lru_cache(_KEPT)(self._find_like)

    def like(self, heard: Ints, count: int) -> Ints:
        """Return the ``count`` tokens most like the beginning of these letters, of those that begin with one of two."""
        return self._like(tuple(heard[:HEARD_LETTERS].tolist()), count)

    def _find_like(self, heard: tuple[int, ...], count: int) -> Ints:
        several = np.concatenate([self._by_first[number] for number in sorted(set(heard[:2]))] or [_NOTHING])
        if len(several) <= count:
            return several
        wanted = np.full(HEARD_LETTERS, NO_LETTER - 1)
        wanted[: len(heard)] = heard
        same = (self.letters[several, :HEARD_LETTERS] == wanted).sum(axis=1)
        score = same - _MISMATCH * (np.minimum(self.lengths[several], HEARD_LETTERS) - same)
        return several[np.argpartition(score, -count)[-count:]]


def _is_spoken(text: str) -> bool:
    bare = text.strip()
    return bool(bare) and len(letters_of(bare)) == len(bare)


@dataclass(frozen=True, slots=True)
class _Beam:
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    gained: float
    state: Any


@dataclass(frozen=True, slots=True)
class _Step:
    """What the beams stand before: the decoder's log-probabilities (beams, vocabulary), a bonus each, their paths."""

    beams: Sequence[_Beam]
    rows: Array
    bonuses: Sequence[Bonus | None]
    given: Sequence[Array | None]  # by a bonus, to every token
    paths: Paths
    reach: Array  # (beams,) scores; no candidate of a beam gets beyond by more than what it is given


@dataclass(frozen=True, slots=True)
class _Grown:
    """A candidate that may become a beam: its parent, its token, what decoder and bias give it, its letters."""

    parent: int
    token: int
    gain: float
    spelt: Spelt

    @property
    def score(self) -> float:
        return self.spelt.score


@dataclass(slots=True)
class _Best:
    """The best candidates so far; ``floor`` is the score below which another one is of no use."""

    found: list[_Grown] = field(default_factory=list)
    floor: float = -np.inf

    def add(self, found: list[_Grown]) -> None:
        self.found = sorted([*self.found, *found], key=lambda one: one.score, reverse=True)[:BEAMS]
        if self.found:
            full = len(self.found) == BEAMS
            self.floor = max(self.found[0].score - _BEHIND, self.found[-1].score if full else -np.inf)
            self.found = [one for one in self.found if one.score >= self.floor]


@dataclass(slots=True)
class JointSearch:
    """Decodes one clip. ``weight`` is what a nat of the decoder counts beside one of the letters or of a bias."""

    backend: Backend
    spellings: Spellings
    rules: Rules
    weight: float

    def run(
        self, memory: Memory, cache: Cache, first: Array, letters: Letters, limit: int, bias: Bias | None
    ) -> list[Candidate]:
        """Return readings, best first; ``first`` (1, vocabulary) is what follows a prompt, ``cache`` has its row.

        Where the best one fits the letters badly, as with a voice that the head does not understand, the list would
        put names in the place of noise: the clip is searched again without it. (Also where the list has no part in that
        reading: it was in the way of better ones. Without that, 6 of 187 clips had 45 words wrong instead of 38.)
        """
        found = self._search(memory, cache, first, letters, limit, bias)
        if bias is not None and self._is_unheard(found[0]):
            found = self._search(memory, cache, first, letters, limit, None)
        return [candidate for candidate, _ in found]

    def _is_unheard(self, found: tuple[Candidate, float]) -> bool:
        candidate, loss = found
        return loss < _UNHEARD * float(self.spellings.lengths[list(candidate.tokens)].sum())

    def _search(
        self, memory: Memory, cache: Cache, first: Array, letters: Letters, limit: int, bias: Bias | None
    ) -> list[tuple[Candidate, float]]:
        """Return readings, best first, each with what it loses against the letters."""
        heard = LetterPaths(letters)
        paths = heard.start()
        beams = [_Beam((), (), 0.0, bias.start() if bias else None)]
        rows = first
        finished: list[tuple[Candidate, float]] = []
        whole = -np.inf  # the best score of a finished reading
        for _ in range(limit):
            paths = heard.move(paths)
            reach = heard.loss(paths) + np.array([beam.gained for beam in beams])
            bonuses = [bias.bonus(beam.state) if bias else None for beam in beams]
            given = [_spread(bonus, rows.shape[1]) for bonus in bonuses]
            step = _Step(beams, rows, bonuses, given, paths, reach)
            finished += self._ends(step, heard.end_loss(paths))
            whole = max([whole, *(one.score for one, _ in finished[-len(beams) :])])
            grown = self._grow(heard, step)
            if not grown or whole >= grown[0].score:
                break
            beams = [
                _Beam(
                    (*beams[one.parent].tokens, one.token),
                    (*beams[one.parent].logprobs, float(step.rows[one.parent, one.token])),
                    beams[one.parent].gained + one.gain,
                    bias.advance(beams[one.parent].state, one.token) if bias else None,
                )
                for one in grown
            ]
            parents, tokens = [one.parent for one in grown], np.array([one.token for one in grown])
            paths = stack([one.spelt for one in grown], paths.first, self.spellings.last[tokens])
            if parents != list(range(len(step.beams))):
                cache = self.backend.reorder(cache, np.array(parents))
            logprobs, cache = self.backend.step(memory, cache, tokens[:, None], [0], self.rules.later)
            rows = logprobs[:, 0]
        else:
            loss = heard.loss(paths)
            finished += [
                (Candidate(beam.tokens, beam.logprobs, beam.gained + float(loss[row]), "length"), float(loss[row]))
                for row, beam in enumerate(beams)
            ]
        return sorted(finished, key=lambda one: one[0].score, reverse=True)

    def _ends(self, step: _Step, losses: Array) -> list[tuple[Candidate, float]]:
        """Return the beams as readings to which nothing is added."""
        ended = []
        end, least = self.rules.end, self._least(step.rows.shape[1])
        for row, (beam, given) in enumerate(zip(step.beams, step.given, strict=True)):
            logprob, loss = float(step.rows[row, end]), float(losses[row])
            if logprob > -np.inf:
                gain = max(logprob, least) * self.weight + (0.0 if given is None else float(given[end]))
                score = beam.gained + gain + loss
                ended.append((Candidate(beam.tokens, (*beam.logprobs, logprob), score, "end"), loss))
        return ended

    def _grow(self, heard: LetterPaths, step: _Step) -> list[_Grown]:
        """Return what becomes a beam, best first: of the tokens that decoder and bias offer, and where those fail of
        the tokens that begin like what is heard."""
        best = _Best()
        spaced = heard.add_space(step.paths, _NO_SPACE if step.beams[0].tokens else 0.0)
        both = step.paths.join(spaced)
        offered, others = [], []
        for row, bonus, reach in zip(step.rows, step.bonuses, step.reach.tolist(), strict=True):
            tokens, bound = self._offered(row, bonus)
            offered.append(tokens)
            others.append(reach + bound + _most(bonus))
        self._weigh(heard, step, both, offered, best)
        if max(others) > best.floor:
            coming = heard.coming(step.paths)
            more = [self._others(*each, best.floor) for each in zip(coming, offered, others, strict=True)]
            self._weigh(heard, step, both, more, best)
        return best.found

    def _least(self, vocabulary: int) -> float:
        """Return the log-probability below which the decoder did not expect a token."""
        return float(np.log(_SURPRISE / vocabulary))

    def _offered(self, row: Array, bonus: Bonus | None) -> tuple[Ints, float]:
        """Return the tokens that the decoder thinks likely and those that the bias favours, and a bound for others."""
        bound = self._least(len(row))
        liked = (row > bound).nonzero()[0]
        if len(liked) > _BY_DECODER:
            liked = liked[np.argpartition(row[liked], -_BY_DECODER)[-_BY_DECODER:]]
            bound = float(row[liked].min())
        if bonus is not None and len(bonus.tokens):
            named = bonus.tokens
            if len(named) > _WAYS_ON:
                gains = np.maximum(row[named], self._least(len(row))) * self.weight + bonus.values
                named = named[np.argpartition(gains, -_WAYS_ON)[-_WAYS_ON:]]
            liked = np.array(sorted({*liked.tolist(), *named.tolist()}))  # np.union1d would import numpy.ma
        return liked[self.spellings.sayable[liked]], self.weight * bound

    def _others(self, coming: Ints, offered: Ints, bound: float, floor: float) -> Ints:
        """Return the tokens that begin like what comes, unless none can still be of use."""
        if bound <= floor:
            return _NOTHING
        like = self.spellings.like(coming, _BY_LETTERS)
        known = set(offered.tolist())
        return like[[token not in known for token in like.tolist()]]

    def _gains(self, step: _Step, tokens_of: Sequence[Ints]) -> Array:
        """Return what decoder and bias give to each beam's tokens, with some of it for those that were not expected."""
        gains = []
        least = self._least(step.rows.shape[1])
        for row, given, tokens in zip(step.rows, step.given, tokens_of, strict=True):
            plain = np.maximum(row[tokens], np.float32(least)) * np.float32(self.weight)
            gains.append(plain if given is None else plain + given[tokens])
        return np.concatenate(gains)

    def _weigh(self, heard: LetterPaths, step: _Step, both: Paths, tokens_of: Sequence[Ints], best: _Best) -> None:
        """Add each beam's tokens that are as good as the best so far: a few first, then those that can still be.

        ``both`` are the paths of the beams, then those with a space after them.
        """
        tokens = np.concatenate(tokens_of)
        parents = np.repeat(np.arange(len(step.beams)), [len(some) for some in tokens_of])
        gains = self._gains(step, tokens_of)
        reach = step.reach[parents] + gains
        given = np.array([beam.gained for beam in step.beams])[parents] + gains
        order = np.argsort(-reach)
        for several in (order[:_FIRST], order[_FIRST:]):
            rows = several[reach[several] > best.floor]
            if not len(rows):
                return
            starts = parents[rows] + len(step.beams) * self.spellings.spaced[tokens[rows]]
            spellings = self.spellings.letters[tokens[rows]]
            found = heard.spell(both.take(starts), spellings, given[rows], best.floor)
            numbers = [int(rows[one.row]) for one in found]
            best.add(
                [
                    _Grown(int(parents[number]), int(tokens[number]), float(gains[number]), one)
                    for number, one in zip(numbers, found, strict=True)
                ]
            )


def _spread(bonus: Bonus | None, size: int) -> Array | None:
    """Return what a bias gives to every token (size,): the vocabularies of models with letters are small."""
    if bonus is None:
        return None
    if bonus.base is not None and not len(bonus.tokens) and not bonus.rest:
        return bonus.base
    given = np.full(size, bonus.rest, np.float32) if bonus.base is None else bonus.base + np.float32(bonus.rest)
    given[bonus.tokens] = bonus.values
    return given


def _most(bonus: Bonus | None) -> float:
    """Return the most that a bias gives to a token which is not among those it favours."""
    if bonus is None:
        return 0.0
    return bonus.rest + (0.0 if bonus.base is None else float(bonus.base.max()))
