"""The search over a language model that fits in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from medstt.engine.protocol import Bonus
from medstt.engine.search import Candidate, Rules, begin, search

END, PROMPT, SIZE = 0, 9, 10
Table = Mapping[tuple[int, ...], Mapping[int, float]]


class TableBackend:
    """Probabilities of the next token after the tokens so far; one table an item. Memory and cache are tuples."""

    checkpoint: Any = None

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tables
        self.rows: list[int] = []

    def encode(self, features: Sequence[Any]) -> tuple[int, ...]:
        return tuple(range(len(features)))

    def select(self, memory: tuple[int, ...], items: Sequence[int]) -> tuple[int, ...]:
        return tuple(memory[item] for item in items)

    def begin(self, memory: tuple[int, ...], beams: int) -> tuple[tuple[int, ...], ...]:
        return ((),) * (len(memory) * beams)

    def step(
        self, memory: tuple[int, ...], cache: tuple[tuple[int, ...], ...], tokens: Any, take: Any, suppress: Any
    ) -> tuple[Any, tuple[tuple[int, ...], ...]]:
        self.rows.append(len(tokens))
        grown = tuple(past + tuple(new) for past, new in zip(cache, tokens.tolist(), strict=True))
        result = np.full((len(grown), len(take), SIZE), 1e-6, np.float32)
        for row, past in enumerate(grown):
            table = self.tables[memory[row * len(memory) // len(grown)]]
            said = past[1:]
            for token, probability in table.get(said, table.get((), {})).items():
                result[row, :, token] = probability
        return np.log(result) + suppress, grown

    def reorder(self, cache: Any, rows: Any) -> Any:
        return tuple(cache[row] for row in rows)

    def attend(self, memory: Any, tokens: Any) -> Any:
        raise NotImplementedError


class PhraseBias:
    """Favours one phrase from anywhere; takes back what an abandoned start was given. The state: tokens matched."""

    digest = "phrase"

    def __init__(self, phrase: Sequence[int], boost: float) -> None:
        self.phrase, self.boost = tuple(phrase), boost

    def start(self) -> int:
        return 0

    def advance(self, state: int, token: int) -> int:
        if state < len(self.phrase) and token == self.phrase[state]:
            return state + 1
        return int(token == self.phrase[0])

    def bonus(self, state: int) -> Bonus | None:
        if state == len(self.phrase):
            return None
        return Bonus(np.array([self.phrase[state]]), np.array([self.boost], np.float32), -self.boost * state)


def run(tables: Sequence[Table], beams: int = 1, limit: int = 20, biases: Any = None, loops: bool = True) -> Any:
    backend = TableBackend(tables)
    memory = backend.encode(tables)
    nothing = np.zeros(SIZE, np.float32)
    prompts = np.full((len(tables), 1), PROMPT)
    rules = Rules(END, nothing, nothing, loops)
    first, cache = backend.step(memory, backend.begin(memory, 1), prompts, [0], nothing)
    found = search(
        backend, memory, cache, first[:, 0], rules,
        beams=beams, limits=[limit] * len(tables), biases=biases or [None] * len(tables),
    )  # fmt: skip
    return found, backend


def texts(found: Sequence[Sequence[Candidate]]) -> list[tuple[int, ...]]:
    return [candidates[0].tokens for candidates in found]


# The first choice of the greedy search leads into a poor ending.
GARDEN_PATH: Table = {
    (): {1: 0.6, 2: 0.4},
    (1,): {3: 0.3, 4: 0.3, 5: 0.3},
    (2,): {6: 0.95},
    (1, 3): {END: 0.5},
    (1, 4): {END: 0.5},
    (2, 6): {END: 0.95},
}


def test_greedy_takes_the_likeliest_token_and_beams_the_likeliest_text() -> None:
    assert texts(run([GARDEN_PATH])[0])[0][0] == 1
    found, _ = run([GARDEN_PATH], beams=3)
    assert texts(found) == [(2, 6)]
    best = found[0][0]
    assert best.logprobs == pytest.approx(np.log([0.4, 0.95, 0.95]), abs=1e-5)
    assert best.logprob == pytest.approx(np.log([0.4, 0.95, 0.95]).mean(), abs=1e-5)
    assert [one.score / len(one.logprobs) for one in found[0]] == sorted(
        (one.score / len(one.logprobs) for one in found[0]), reverse=True
    )
    assert len({one.tokens for one in found[0]}) == len(found[0]) >= 3


@pytest.mark.parametrize("beams", [1, 3])
def test_a_batch_gives_what_each_item_gives_alone_and_drops_what_is_done(beams: int) -> None:
    short: Table = {(): {END: 0.9, 1: 0.1}}
    long: Table = {tuple(range(1, n)): {n: 0.9} for n in range(1, 8)} | {tuple(range(1, 8)): {END: 0.9}}
    tables = [long, short, GARDEN_PATH, short]
    together, backend = run(tables, beams)
    assert texts(together) == [texts(run([table], beams)[0])[0] for table in tables]
    assert together[0][0].tokens == tuple(range(1, 8))
    assert backend.rows[-1] == beams  # the last steps ran for one item alone


@pytest.mark.parametrize("beams", [1, 2])
def test_it_never_goes_on_for_ever(beams: int) -> None:
    circle: Table = {(): {1: 0.9, 2: 0.05}}
    found, _ = run([circle], beams, limit=200)
    assert found[0][0].ending == "loop"
    assert len(found[0][0].tokens) < 30
    found, _ = run([circle], beams, limit=50, loops=False)
    assert found[0][0].ending == "length"
    assert len(found[0][0].tokens) == 50


NAMES: Table = {
    (): {1: 0.55, 2: 0.4},
    (1,): {3: 0.9},
    (2,): {4: 0.6, 5: 0.35},
    (1, 3): {END: 0.9},
    (2, 4): {END: 0.9},
    (2, 5): {END: 0.9},
}


@pytest.mark.parametrize("beams", [1, 3])
def test_each_item_of_a_batch_has_its_own_bias(beams: int) -> None:
    found, _ = run([NAMES, NAMES, NAMES], beams, biases=[PhraseBias([2, 5], 2.0), None, PhraseBias([2, 4], 2.0)])
    assert texts(found) == [(2, 5), texts(run([NAMES], beams)[0])[0], (2, 4)]
    # What is reported is the model's own probability, not the favour.
    assert found[0][0].logprobs == pytest.approx(np.log([0.4, 0.35, 0.9]), abs=1e-5)


def test_the_favour_for_an_abandoned_phrase_is_taken_back() -> None:
    found, _ = run([NAMES], beams=3, biases=[PhraseBias([2, 7], 1.5)])
    for one in found[0]:  # none of them completes the phrase, so none keeps anything
        assert one.score == pytest.approx(sum(one.logprobs), abs=1e-4)
    alone, _ = run([NAMES], beams=3)
    assert texts(found) == texts(alone)


def test_suppressed_tokens_are_never_said() -> None:
    backend = TableBackend([GARDEN_PATH])
    memory = backend.encode([0])
    first, later = np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32)
    first[1] = later[END] = -np.inf
    rules = Rules(END, first, later)
    begun = begin(backend, memory, np.array([[PROMPT]]), rules)
    assert np.exp(begun.first).sum() == pytest.approx(1.0)
    found = search(backend, memory, begun.cache, begun.first, rules, beams=1, limits=[5], biases=[None])
    assert found[0][0].tokens[:2] == (2, 6)
    assert len(found[0][0].tokens) == 5
