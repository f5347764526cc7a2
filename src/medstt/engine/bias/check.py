"""The second look at names: a doubtful word, or one with a look-alike, is weighed against names of like sound.

The model itself scores each reading over the same audio: its decoder, and where it has a head for letters that too.
Knows nothing of recordings or of written documents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from medstt.engine.bias.option import BiasOptions
from medstt.engine.bias.sound import SoundIndex, names_in_reach, piece_heard
from medstt.engine.letter import Letters, read_letters
from medstt.engine.protocol import Clip, Engine
from medstt.engine.reading import ReadingScores
from medstt.values import Alternative, Choice, Hypothesis, Reading, Reason, Segment, Word
from medstt.vocab import Lexicon
from medstt.vocab.bias import BIASED_KINDS

DRUGS = ("drug", "brand")
_MARKS = ".,;:!?"
_LETTERS = 5  # shorter words sound like too many names
_CLOSE = 65.0  # of a lexicon's match, 0-100
_NEAR_NAMES = 3
_READINGS = 8  # scored for one place, what was heard counted
_BY_LETTERS = 12  # names of one place whose letters are compared with what was heard
_DECODER = 6.0  # nats by which the decoder may outweigh the letters; names beyond are not scored by it
_INEXACT = 1.0  # nats by which a score may differ from what the search made of the same text
_PLACES = 4  # in one clip
_MOST_DOUBTFUL = 0.5  # of a clip's words; where more are in doubt, it is not a name that went wrong
_FEW = 4  # words of a clip, from which on a share says something
_LONGEST = 3  # words that may be one name


@dataclass(frozen=True, slots=True)
class _Place:
    """Words ``first``..``last`` and the names they may be; ``known`` if they are a term already."""

    first: int
    last: int
    names: tuple[str, ...]
    twins: frozenset[str]
    known: bool
    likeness: float = 1.0  # of the nearest name, 0-1


class NameCheck:
    """Weighs names with a lexicon. ``count`` gives the tokens of a text; ``ordinary`` tells words of everyday use."""

    def __init__(
        self, lexicon: Lexicon, options: BiasOptions, count: Callable[[str], int], ordinary: Callable[[str], bool]
    ) -> None:
        self._lexicon = lexicon
        self._options = options
        self._count = count
        self._ordinary = ordinary
        self._sounds = SoundIndex(lexicon)

    @property
    def digest(self) -> str:
        """What the outcome depends on beside model and audio."""
        return f"{self._lexicon.digest} {sorted(self._options.encode().items())}"

    def check(self, engine: Engine, clip: Clip, hypothesis: Hypothesis) -> Hypothesis:
        """Return the hypothesis with every choice made on record, and a name in place of what cannot be a word.

        A look-alike within the margin is never chosen against, it is recorded for a flag.
        """
        if not engine.capabilities.score or not hypothesis.words:
            return hypothesis
        letters = engine.letters(clip) if engine.capabilities.letters and self._options.letters > 0 else None
        places = self._places(hypothesis, letters)
        scores = ReadingScores(letters) if letters is not None and places else None
        for place in reversed(places):  # from the end, so that earlier words keep their numbers
            hypothesis = self._weigh(engine, clip, hypothesis, place, scores)
        return hypothesis

    def _room(self, hypothesis: Hypothesis, place: _Place) -> float:
        """Return the nats by which a name can be likelier for the decoder than what stands, at most ``_DECODER``.

        Both begin alike, and what follows can be no better than certain.
        """
        whole = hypothesis.logprob * (self._count(hypothesis.text) + 1)
        before = sum(math.log(max(word.confidence, 1e-9)) for word in hypothesis.words[: place.first])
        return min(_DECODER, max(0.0, before - whole) + _INEXACT)

    def _places(self, hypothesis: Hypothesis, letters: Letters | None) -> list[_Place]:
        """Return the places worth a second look, the most likely ones, in order."""
        words = [word.text.strip(_MARKS) for word in hypothesis.words]
        mentions = self._lexicon.spot(words)
        taken = {index for mention in mentions for index in range(mention.start, mention.end)}
        found: list[_Place] = []
        for mention in mentions:
            if mention.term.kind not in DRUGS or mention.how != "exact":
                continue
            twins = [twin.term.text for twin in self._lexicon.twins(mention.text) if twin.checked]
            if twins:
                found.append(_Place(mention.start, mention.end, tuple(twins), frozenset(twins), True))
        if letters is None:
            found += self._by_spelling(hypothesis, words, taken)
        else:
            found += self._by_letters(hypothesis, words, taken, letters)
        likely = sorted(found, key=lambda place: place.likeness, reverse=True)[:_PLACES]
        return sorted(likely, key=lambda place: place.first)

    def _by_spelling(self, hypothesis: Hypothesis, words: Sequence[str], taken: set[int]) -> Iterator[_Place]:
        """Yield doubtful words that are written like a name."""
        doubtful = [
            index
            for index, word in enumerate(hypothesis.words)
            if index not in taken
            and word.confidence < self._options.doubt
            and words[index].isalpha()
            and not _is_fact(words[index], hypothesis.language)
        ]
        if len(doubtful) > _MOST_DOUBTFUL * len(words):
            return
        for first, last in _runs(doubtful)[:_PLACES]:
            place = self._sounding(words, first, last, hypothesis.language)
            if place is not None:
                yield place

    def _by_letters(
        self, hypothesis: Hypothesis, words: Sequence[str], taken: set[int], letters: Letters
    ) -> Iterator[_Place]:
        """Yield words, doubtful or not of everyday use, in whose place letters like those of a name were heard."""
        suspect = [
            index
            for index, word in enumerate(hypothesis.words)
            if index not in taken
            and words[index].isalpha()
            and (word.confidence < self._options.doubt or not self._ordinary(words[index]))
            and not _is_fact(words[index], hypothesis.language)
        ]
        if len(words) >= _FEW and len(suspect) > _MOST_DOUBTFUL * len(words):
            return
        heard = read_letters(letters) if suspect else ""
        for first, last in _runs(suspect):
            longest = max(range(first, last), key=lambda index: len(words[index]))
            best: _Place | None = None
            for start, end in dict.fromkeys([(first, last), (longest, longest + 1)]):
                piece = piece_heard(words, start, end, heard)
                if len(piece) < _LETTERS or (end - start == 1 and self._ordinary(words[start])):
                    continue
                near = self._sounds.near(piece, hypothesis.language, _BY_LETTERS)
                if near and (best is None or near[0][1] > best.likeness):
                    names = [name for name, _ in near]
                    twins = [twin.term.text for name in names[:1] for twin in self._lexicon.twins(name) if twin.checked]
                    chosen = tuple(dict.fromkeys([*names, *twins]))
                    reachable = names_in_reach("".join(words[start:end]), piece, chosen)
                    best = _Place(start, end, reachable, frozenset(twins), False, near[0][1])
            if best is not None and best.names:
                yield best

    def _sounding(self, words: Sequence[str], first: int, last: int, language: str) -> _Place | None:
        """Return the names that a run of doubtful words sounds like, of the run whole or of its longest word."""
        longest = max(range(first, last), key=lambda index: len(words[index]))
        for start, end in dict.fromkeys([(first, last), (longest, longest + 1)]):
            heard = "".join(words[start:end])
            if len(heard) < _LETTERS or (end - start == 1 and self._ordinary(heard)):
                continue
            names = [
                match.term.text
                for match in self._lexicon.search(heard, _NEAR_NAMES * 2)
                if match.score >= _CLOSE and match.term.kind in BIASED_KINDS and match.term.language == language
            ][:_NEAR_NAMES]
            if names:
                twins = [twin.term.text for name in names for twin in self._lexicon.twins(name) if twin.checked]
                return _Place(start, end, tuple(dict.fromkeys([*names, *twins])), frozenset(twins), False)
        return None

    def _weigh(
        self, engine: Engine, clip: Clip, hypothesis: Hypothesis, place: _Place, scores: ReadingScores | None
    ) -> Hypothesis:
        heard = " ".join(word.text for word in hypothesis.words[place.first : place.last])
        plain = heard.strip(_MARKS)
        names = [plain]
        names += [name for name in (_cased(name, plain) for name in place.names) if name.lower() != plain.lower()]
        names = list(dict.fromkeys(names))
        marks = heard[len(heard.rstrip(_MARKS)) :]
        sounds = self._sound(scores, hypothesis, place, names)
        order = sorted(range(1, len(names)), key=lambda number: sounds[number], reverse=True)
        least = sounds[0] - self._options.keep - self._room(hypothesis, place)
        kept = [0, *(number for number in order if scores is None or sounds[number] >= least)][:_READINGS]
        if len(kept) == 1:
            return hypothesis
        names, sounds = [names[number] for number in kept], [sounds[number] for number in kept]
        texts = [_text_with(hypothesis, place, name + marks) for name in names]
        means = engine.score(clip, texts, hypothesis.language)
        totals = [
            mean * (self._count(text) + 1) + sound for mean, text, sound in zip(means, texts, sounds, strict=True)
        ]
        order = sorted(range(1, len(names)), key=lambda index: totals[index], reverse=True)
        near = [index for index in order if totals[index] >= totals[0] - self._options.keep]
        if not near:
            return hypothesis
        chosen = self._choose(names, totals, near, place)
        readings = _readings([names[0], *(names[index] for index in near)], [totals[0], *(totals[i] for i in near)])
        rivals = {names[index].lower() for index in (0, *near) if index != chosen}
        alike = rivals & {name.lower() for name in place.twins}
        reason: Reason = "replaced" if chosen else "look_alike" if alike else "kept"
        others = [Alternative(texts[index], means[index]) for index in (0, *near) if index != chosen]
        changed = _replaced(hypothesis, place, names[chosen] + marks, readings) if chosen else hypothesis
        width = len(changed.words) - len(hypothesis.words) + place.last - place.first
        choice = Choice(place.first, place.first + width, plain, names[chosen], readings, reason)
        shift = width - (place.last - place.first)
        later = tuple(replace(one, first=one.first + shift, last=one.last + shift) for one in changed.choices)
        return replace(
            changed,
            logprob=means[chosen] if chosen else hypothesis.logprob,
            alternatives=(*changed.alternatives, *others),
            choices=(choice, *later),
        )

    def _sound(
        self, scores: ReadingScores | None, hypothesis: Hypothesis, place: _Place, names: Sequence[str]
    ) -> list[float]:
        """Return how well the letters that were heard fit each name, in nats as weighed; 0 where it cannot be told."""
        if scores is None:
            return [0.0] * len(names)
        words = [word.text for word in hypothesis.words]
        before, after = " ".join([*words[: place.first], ""]), " ".join(["", *words[place.last :]])
        found = scores.score(before, names, after)
        if not math.isfinite(found[0]):
            return [0.0] * len(names)
        return [self._options.letters * sound for sound in found]

    def _choose(self, names: Sequence[str], totals: Sequence[float], near: Sequence[int], place: _Place) -> int:
        """Return which reading is to stand: 0, what was heard, unless that is no word and one name is better."""
        best = near[0]
        if place.known or totals[best] < totals[0] - self._options.replace:
            return 0
        twins = {twin.term.text.lower() for twin in self._lexicon.twins(names[best])}
        rivals = {names[index].lower() for index in near[1:]}
        return 0 if twins & rivals else best


def _is_fact(word: str, language: str) -> bool:
    """Tell whether a word is a number, a negation, a side, a unit: what no name may ever take the place of."""
    from medstt.metrics.critical import find_facts  # with what it imports: only where a word is in doubt
    from medstt.text.normalise import canonicalise

    return bool(find_facts(canonicalise(word, language), language))


def _runs(indices: Sequence[int]) -> list[tuple[int, int]]:
    """Return runs of neighbouring indices, at most three long, as (first, after the last)."""
    runs: list[tuple[int, int]] = []
    start = 0
    for place in range(1, len(indices) + 1):
        if place == len(indices) or indices[place] != indices[place - 1] + 1 or place - start == _LONGEST:
            runs.append((indices[start], indices[place - 1] + 1))
            start = place
    return runs


def _cased(name: str, heard: str) -> str:
    return name[:1].upper() + name[1:] if heard[:1].isupper() else name


def _text_with(hypothesis: Hypothesis, place: _Place, text: str) -> str:
    words = [word.text for word in hypothesis.words]
    return " ".join([*words[: place.first], text, *words[place.last :]])


def _readings(names: Sequence[str], totals: Sequence[float]) -> tuple[Reading, ...]:
    """Return the readings, the likeliest first, with probabilities that add up to 1."""
    top = max(totals)
    weights = [math.exp(total - top) for total in totals]
    whole = sum(weights)
    found = [Reading(name, weight / whole) for name, weight in zip(names, weights, strict=True)]
    return tuple(sorted(found, key=lambda reading: reading.probability, reverse=True))


def _replaced(hypothesis: Hypothesis, place: _Place, text: str, readings: Sequence[Reading]) -> Hypothesis:
    """Put a name in place of words; its words share their time equally and have the reading's probability."""
    start = hypothesis.words[place.first].segment.start_ms
    end = hypothesis.words[place.last - 1].segment.end_ms
    parts = text.split()
    edges = [start + (end - start) * number // len(parts) for number in range(len(parts) + 1)]
    sure = next(reading.probability for reading in readings if reading.text == text.strip(_MARKS))
    new = tuple(Word(part, Segment(edges[n], edges[n + 1]), sure) for n, part in enumerate(parts))
    words = (*hypothesis.words[: place.first], *new, *hypothesis.words[place.last :])
    return replace(hypothesis, words=words)
