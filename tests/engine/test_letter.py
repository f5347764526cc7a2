"""What is heard by letters: reading, scoring against every alignment there is, and a model's head for it."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from medstt.benchmark.model import RandomShape, write_random_model
from medstt.engine import load_engine
from medstt.engine.letter import CHARACTERS, HEAD, Letters, letters_of, read_letters
from medstt.engine.pool import EnginePool
from medstt.engine.protocol import Clip, DecodeOptions
from medstt.engine.reading import ReadingScores
from medstt.errors import CorruptModel
from medstt.values import RATE_HZ, Segment

SHAPE = RandomShape(64, 1, 1, 2, 80, 2_000, 3)


def random_letters(positions: int, seed: int = 0) -> Letters:
    logits = np.random.default_rng(seed).standard_normal((positions, len(CHARACTERS))) * 2
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def collapse(path: tuple[int, ...]) -> list[int]:
    return [number for number, _ in itertools.groupby(path) if number]


@pytest.mark.parametrize("text", ["", "a", "ab", "aa", "aba", "aab"])
def test_a_score_is_that_of_the_best_of_all_alignments(text: str) -> None:
    letters = random_letters(5)
    letters[:, 3:] = -50.0  # blank, space, a: few enough to try every path; b is number 3
    letters[:, 3] = random_letters(5, 1)[:, 3]
    paths = [path for path in itertools.product((0, 2, 3), repeat=5) if collapse(path) == letters_of(text)]
    expected = max(sum(float(letters[t, number]) for t, number in enumerate(path)) for path in paths)
    together = ReadingScores(letters).score("", ["ab", text, "abab a"], "")
    assert together[1] == pytest.approx(expected, abs=1e-4)
    for first in range(len(text) + 1):  # wherever a reading begins and ends, also between two letters that are alike
        for last in range(first, len(text) + 1):
            before, reading, after = text[:first], text[first:last], text[last:]
            assert ReadingScores(letters).score(before, [reading], after)[0] == pytest.approx(expected, abs=1e-4)


def test_places_of_one_clip_share_what_was_laid_along_its_letters() -> None:
    letters = random_letters(60)
    scores = ReadingScores(letters)
    for before, reading, after in (("ab c ", "de", " fg h"), ("ab ", "cc", " de fg h"), ("", "ab", " de fg h")):
        expected = ReadingScores(letters).score("", [before + reading + after], "")
        assert scores.score(before, [reading, "x"], after)[0] == pytest.approx(expected[0], abs=1e-3)


def test_a_text_with_more_letters_than_positions_cannot_have_been_said() -> None:
    assert ReadingScores(random_letters(4)).score("", ["metoprolol"], "") == [-np.inf]


def test_letters_are_read_without_repeats_blanks_and_double_spaces() -> None:
    path = "\0aa\0abb\0  \0 c"
    letters = np.full((len(path), len(CHARACTERS)), -9.0, np.float32)
    for position, character in enumerate(path):
        letters[position, CHARACTERS.index(character)] = 0.0
    assert read_letters(letters) == "aab c"
    assert letters_of("Ä, 5b-'") == [CHARACTERS.index(c) for c in "ä b-'"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with a head that hears letters."""
    folder = write_random_model(tmp_path_factory.mktemp("letters"), SHAPE)
    random = np.random.default_rng(1)
    weight = random.standard_normal((len(CHARACTERS), SHAPE.width)).astype(np.float32)
    save_file({"project.weight": weight, "project.bias": np.zeros(len(CHARACTERS), np.float32)}, folder / HEAD)
    return folder


def clip(seconds: float, seed: int) -> Clip:
    samples = (np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ)) * 0.1).astype(np.float32)
    return Clip(samples, Segment(0, int(seconds * 1000)))


def test_a_model_with_a_head_hears_letters_while_it_decodes(model: Path, cache: Path) -> None:
    engine = load_engine(model, "letters", cache=cache)
    assert engine.capabilities.letters
    clips = [clip(1.0, 0), clip(2.0, 1), clip(1.5, 2)]
    engine.decode(clips, DecodeOptions("en", max_tokens=4, word_times=False))
    found = [engine.letters(one) for one in clips]
    assert [None if one is None else one.shape for one in found] == [
        (positions, len(CHARACTERS)) for positions in (50, 100, 75)
    ]
    pool = EnginePool([engine, engine.replicate()])
    for one, letters in zip(clips, found, strict=True):
        assert letters is not None
        assert letters.min() == pytest.approx(-4.0)  # no letter is ruled out
        assert np.exp(letters).max() <= 1
        assert pool.letters(one) is letters  # what one replica heard, the others know
        again = load_engine(model, "letters", cache=cache).letters(one)  # a clip that was not decoded before
        assert again is not None
        assert np.abs(again[: len(letters)] - letters).max() < 1e-4
    pool.close()


def test_the_reference_engine_hears_the_same(model: Path, cache: Path) -> None:
    pytest.importorskip("torch")
    exact = load_engine(model, "letters", cache=cache, backend="transformers").letters(clip(1.0, 0))
    fast = load_engine(model, "letters", cache=cache).letters(clip(1.0, 0))
    assert exact is not None
    assert fast is not None
    assert np.abs(exact - fast).mean() < 0.1 * exact.std()  # int8


def test_a_model_without_a_head_hears_none_and_a_damaged_head_is_named(tmp_path: Path, cache: Path) -> None:
    folder = write_random_model(tmp_path / "m", SHAPE)
    engine = load_engine(folder, "none", cache=cache)
    assert not engine.capabilities.letters
    assert engine.letters(clip(1.0, 0)) is None
    (folder / HEAD).write_bytes(b"damaged")
    with pytest.raises(CorruptModel, match=HEAD):
        load_engine(folder, "damaged", cache=cache)
