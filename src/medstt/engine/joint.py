"""Joint search: a decoder that proposes words and letters that were heard hold one another to the audio.

One clip, a few beams. The score of a beginning is what the decoder gives it plus what the best path of the letters
loses by it (connectionist temporal classification and attention together: Watanabe et al. 2017, with best paths for
sums). A decoder that recites is corrected by the letters, letters that are misspelt by the decoder. Knows nothing of
audio or languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medstt.engine.backend import Array, Backend, Cache, Memory, Tokens
from medstt.engine.letter import CHARACTERS, Letters, letters_of
from medstt.engine.protocol import Bias, Bonus
from medstt.engine.search import Candidate, Rules
from medstt.engine.token import TokenTable

BEAMS = 4
_BY_DECODER = 12  # tokens a beam may go on with: so many that the decoder thinks likely
_BY_LETTERS = 16  # and so many that begin like what was heard
_WAYS_ON = 24  # a name that was begun with so few ways on has all of them looked at
_NO_SPACE = -0.7  # nats for a space that was not heard
_MISMATCH = 0.6
_LONGEST = 10  # letters of a token that are compared with what was heard
_SURPRISE = 0.1  # the chance that the decoder has no idea: any token is possible then, so no text is ruled out
_UNHEARD = -1.2  # nats a letter: a reading that fits the letters so badly is no ground for names
_FAR = np.float32(-1e9)
_BLANK, _SPACE = 0, 1
_NOTHING = np.zeros(0, np.int64)

Ints = npt.NDArray[np.int64]


class Spellings:
    """The letters of every token of a model; made once."""

    def __init__(self, table: TokenTable) -> None:
        texts = table.texts()
        found = [letters_of(text.strip()) if _is_spoken(text) else [] for text in texts]
        self.spaced = np.array([text[:1].isspace() for text in texts])
        self.lengths = np.array([len(each) for each in found])
        self.letters = np.full((len(texts), max(_LONGEST, int(self.lengths.max(initial=0)))), -1, np.int8)
        for token, each in enumerate(found):
            self.letters[token, : len(each)] = each
        self.sayable = (self.lengths > 0) & np.array([table.can_say([token]) for token in range(len(texts))])
        self._by_first = [np.flatnonzero(self.sayable & (self.letters[:, 0] == n)) for n in range(len(CHARACTERS))]

    def like(self, heard: Ints, count: int) -> Ints:
        """Return the ``count`` tokens most like the beginning of these letters, of those that begin with one of two."""
        several = np.concatenate([self._by_first[number] for number in set(heard[:2].tolist())] or [_NOTHING])
        if len(several) <= count:
            return several
        wanted = np.full(_LONGEST, -2, np.int8)
        wanted[: len(heard[:_LONGEST])] = heard[:_LONGEST]
        same = (self.letters[several, :_LONGEST] == wanted).sum(axis=1)
        score = same - _MISMATCH * (np.minimum(self.lengths[several], _LONGEST) - same)
        return several[np.argpartition(score, -count)[-count:]]


def _is_spoken(text: str) -> bool:
    bare = text.strip()
    return bool(bare) and len(letters_of(bare)) == len(bare)


@dataclass(frozen=True, slots=True)
class Paths:
    """The best paths of some beginnings through the letters, rows (beginnings, positions + 1).

    ``ended`` and ``paused`` are the best scores after so many positions, the last of them the last letter or a blank;
    ``last`` (beginnings,) is that letter.
    """

    ended: Array
    paused: Array
    last: Ints

    def take(self, rows: Ints) -> Paths:
        """Return these rows."""
        return Paths(self.ended[rows], self.paused[rows], self.last[rows])


class LetterPaths:
    """The letters of one clip, and how beginnings of texts go on in them."""

    def __init__(self, letters: Letters) -> None:
        count = letters.shape[1]
        self._sums = np.zeros((count, len(letters) + 1), np.float32)
        np.cumsum(letters.T, axis=1, out=self._sums[:, 1:])
        best = letters.max(axis=1)
        self._rest = np.zeros(len(letters) + 1, np.float32)
        self._rest[:-1] = np.cumsum(best[::-1])[::-1]
        self._total = np.float32(self._rest[0])
        likeliest = letters.argmax(axis=1)
        changes = np.flatnonzero(np.diff(likeliest, prepend=-1))
        spoken = changes[likeliest[changes] > _SPACE]
        self._heard, self._at = likeliest[spoken], spoken

    def start(self) -> Paths:
        """Return the paths of the empty beginning: blanks alone."""
        return Paths(np.full((1, self._sums.shape[1]), _FAR), self._sums[_BLANK : _BLANK + 1].copy(), np.zeros(1, int))

    def add(self, paths: Paths, letters: Ints) -> Paths:
        """Return the paths after one more letter each."""
        came = np.maximum(paths.paused, np.where((paths.last == letters)[:, None], _FAR, paths.ended))
        ended = _go_on(came, self._sums[letters])
        return Paths(ended, _go_on(ended, self._sums[_BLANK]), letters)

    def add_space(self, paths: Paths, penalty: float) -> Paths:
        """Return the paths after a space, heard or not."""
        heard = self.add(paths, np.full(len(paths.last), _SPACE))
        return Paths(
            np.maximum(heard.ended, paths.ended + penalty), np.maximum(heard.paused, paths.paused + penalty), paths.last
        )

    def loss(self, paths: Paths) -> Array:
        """Return what the best path of each beginning loses against the best path of all (0 or less)."""
        best: Array = (np.maximum(paths.ended, paths.paused) + self._rest).max(axis=1) - self._total
        return best

    def end_loss(self, paths: Paths) -> Array:
        """Return the same for beginnings after which nothing more is said."""
        best: Array = np.maximum(paths.ended[:, -1], paths.paused[:, -1]) - self._total
        return best

    def coming(self, paths: Paths) -> list[Ints]:
        """Return for each beginning the letters that are heard after it, without spaces."""
        reached = (np.maximum(paths.ended, paths.paused) + self._rest).argmax(axis=1)
        firsts = np.searchsorted(self._at, reached)
        return [self._heard[first : first + _LONGEST] for first in firsts]


def _go_on(came: Array, sums: Array) -> Array:
    """Return the best score after each position when one character is emitted from any earlier position on."""
    gone = np.empty(came.shape, np.float32)
    gone[:, 0] = _FAR
    np.maximum.accumulate((came - sums)[:, :-1], axis=1, out=gone[:, 1:])
    gone[:, 1:] += sums[..., 1:]
    return gone


@dataclass(frozen=True, slots=True)
class _Beam:
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    gained: float
    state: Any


@dataclass(slots=True)
class JointSearch:
    """Decodes one clip. ``weight`` is what a nat of the decoder counts beside one of the letters or of a bias."""

    backend: Backend
    spellings: Spellings
    rules: Rules
    weight: float

    def run(
        self, memory: Memory, cache: Cache, prompt: Tokens, letters: Letters, limit: int, bias: Bias | None
    ) -> list[Candidate]:
        """Return readings, best first; ``cache`` has one row that was fed what came before ``prompt`` (1, n).

        Where the best one fits the letters badly, as with a voice that the head does not understand, the list would
        put names in the place of noise: the clip is searched again without it.
        """
        found = self._search(memory, cache, prompt, letters, limit, bias)
        if bias is not None and self._is_unheard(found[0]):
            found = self._search(memory, cache, prompt, letters, limit, None)
        return [candidate for candidate, _ in found]

    def _is_unheard(self, found: tuple[Candidate, float]) -> bool:
        candidate, loss = found
        return loss < _UNHEARD * float(self.spellings.lengths[list(candidate.tokens)].sum())

    def _search(
        self, memory: Memory, cache: Cache, prompt: Tokens, letters: Letters, limit: int, bias: Bias | None
    ) -> list[tuple[Candidate, float]]:
        """Return readings, best first, each with what it loses against the letters."""
        heard = LetterPaths(letters)
        paths = heard.start()
        beams = [_Beam((), (), 0.0, bias.start() if bias else None)]
        logprobs, cache = self.backend.step(memory, cache, prompt, [prompt.shape[1] - 1], self.rules.first)
        finished: list[tuple[Candidate, float]] = []
        for _ in range(limit):
            rows = logprobs[:, 0]
            weighed = self._weigh(rows)
            finished += self._ends(beams, heard.end_loss(paths), rows, bias)
            parents, tokens, gains = self._propose(beams, heard.coming(paths), weighed, bias)
            grown = self._grow(heard, paths, parents, tokens, first=not beams[0].tokens)
            scores = np.array([beams[row].gained for row in parents]) + gains + heard.loss(grown)
            best = np.argsort(-scores, kind="stable")[:BEAMS]
            if not len(best) or (finished and max(one.score for one, _ in finished) >= scores[best[0]]):
                break
            chosen = [(int(parents[place]), int(tokens[place]), float(gains[place])) for place in best]
            beams = [
                _Beam(
                    (*beams[row].tokens, token), (*beams[row].logprobs, float(rows[row, token])),
                    beams[row].gained + gain, bias.advance(beams[row].state, token) if bias else None,
                )
                for row, token, gain in chosen
            ]  # fmt: skip
            paths = grown.take(best)
            cache = self.backend.reorder(cache, np.array([row for row, _, _ in chosen]))
            fed = np.array([token for _, token, _ in chosen])[:, None]
            logprobs, cache = self.backend.step(memory, cache, fed, [0], self.rules.later)
        else:
            loss = heard.loss(paths)
            finished += [
                (Candidate(beam.tokens, beam.logprobs, beam.gained + float(loss[row]), "length"), float(loss[row]))
                for row, beam in enumerate(beams)
            ]
        return sorted(finished, key=lambda one: one[0].score, reverse=True)

    def _weigh(self, logprobs: Array) -> Array:
        """Return what the decoder gives to tokens, with some of it for those that it did not expect."""
        weighed: Array = np.maximum(logprobs * np.float32(self.weight), self._least(logprobs))
        return weighed

    def _least(self, logprobs: Array) -> np.float32:
        """Return what a token counts that the decoder did not expect."""
        return np.float32(self.weight * np.log(_SURPRISE / logprobs.shape[-1]))

    def _ends(
        self, beams: Sequence[_Beam], losses: Array, rows: Array, bias: Bias | None
    ) -> list[tuple[Candidate, float]]:
        ended = []
        for row, beam in enumerate(beams):
            logprob = float(rows[row, self.rules.end])
            bonus = bias.bonus(beam.state) if bias else None
            gain = float(_gains(self._weigh(rows[row]), bonus, np.array([self.rules.end]))[0])
            if np.isfinite(logprob):
                loss = float(losses[row])
                reading = Candidate(beam.tokens, (*beam.logprobs, logprob), beam.gained + gain + loss, "end")
                ended.append((reading, loss))
        return ended

    def _propose(
        self, beams: Sequence[_Beam], coming: Sequence[Ints], rows: Array, bias: Bias | None
    ) -> tuple[Ints, Ints, Array]:
        """Return parent, token and what decoder and bias give it, for everything worth a look."""
        parents, tokens, gains = [], [], []
        for row, beam in enumerate(beams):
            bonus = bias.bonus(beam.state) if bias else None
            named = _NOTHING if bonus is None else bonus.tokens
            if bonus is not None and len(named) > _WAYS_ON:
                named = named[np.argpartition(rows[row, named] + bonus.values, -_WAYS_ON)[-_WAYS_ON:]]
            liked = np.flatnonzero(rows[row] > self._least(rows))
            if len(liked) > _BY_DECODER:
                liked = liked[np.argpartition(rows[row, liked], -_BY_DECODER)[-_BY_DECODER:]]
            several = np.unique(np.concatenate([liked, named, self.spellings.like(coming[row], _BY_LETTERS)]))
            several = several[self.spellings.sayable[several]]
            parents.append(np.full(len(several), row))
            tokens.append(several)
            gains.append(_gains(rows[row], bonus, several))
        return np.concatenate(parents), np.concatenate(tokens), np.concatenate(gains)

    def _grow(self, heard: LetterPaths, paths: Paths, parents: Ints, tokens: Ints, *, first: bool) -> Paths:
        """Return the paths of every parent's beginning with a token's letters after it."""
        spaced = heard.add_space(paths, 0.0 if first else _NO_SPACE)
        both = Paths(
            np.concatenate([paths.ended, spaced.ended]), np.concatenate([paths.paused, spaced.paused]),
            np.concatenate([paths.last, spaced.last]),
        )  # fmt: skip
        grown = both.take(parents + len(paths.last) * self.spellings.spaced[tokens])
        letters, lengths = self.spellings.letters[tokens].astype(np.int64), self.spellings.lengths[tokens]
        for place in range(int(lengths.max(initial=0))):
            going = np.flatnonzero(lengths > place)
            added = heard.add(grown.take(going), letters[going, place])
            grown.ended[going], grown.paused[going], grown.last[going] = added.ended, added.paused, added.last
        return grown


def _gains(row: Array, bonus: Bonus | None, tokens: Ints) -> Array:
    """Return the biased log-probabilities of some tokens of one row."""
    gains = row[tokens].astype(np.float32)
    if bonus is None:
        return gains
    gains = gains + bonus.rest
    if bonus.base is not None:
        gains = gains + bonus.base[tokens]
    if len(bonus.tokens):
        places = np.minimum(np.searchsorted(bonus.tokens, tokens), len(bonus.tokens) - 1)
        favoured = bonus.tokens[places] == tokens
        gains = np.where(favoured, row[tokens] + bonus.values[places], gains)
    return np.asarray(gains, np.float32)
