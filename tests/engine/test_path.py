"""Paths of letters: against every alignment, beginnings, and the window that follows them."""

from __future__ import annotations

import numpy as np
import pytest

from medstt.engine.letter import CHARACTERS, Letters, letters_of
from medstt.engine.path import NO_LETTER, LetterPaths, Paths, stack
from medstt.engine.reading import ReadingScores


def heard(text: str, sure: float = 0.97, pause: int = 1) -> Letters:
    """Return letters as a clear voice would say a text: two positions a letter, then blanks."""
    path = [place for character in text for place in (CHARACTERS.index(character),) * 2 + (0,) * pause]
    letters = np.full((len(path), len(CHARACTERS)), (1 - sure) / (len(CHARACTERS) - 1), np.float32)
    letters[np.arange(len(path)), path] = sure
    return np.log(letters)


def random_letters(positions: int) -> Letters:
    random = np.random.default_rng(2).standard_normal((positions, len(CHARACTERS)))
    return (random - np.log(np.exp(random).sum(axis=1, keepdims=True))).astype(np.float32)


def spelt(clip: LetterPaths, text: str, *, moving: bool = False) -> Paths:
    paths = clip.start()
    for number in letters_of(text):
        paths = clip.add(clip.move(paths) if moving else paths, np.array([number]))
    return paths


@pytest.mark.parametrize("text", ["", "a", "nimmt", "aab", "ab a"])
def test_a_whole_text_loses_what_its_best_alignment_loses(text: str) -> None:
    letters = random_letters(14)
    clip = LetterPaths(letters)
    expected = ReadingScores(letters).score("", [text], "")[0] - float(letters.max(axis=1).sum())
    assert float(clip.end_loss(spelt(clip, text))[0]) == pytest.approx(expected, abs=1e-3)


def test_a_beginning_that_follows_what_was_heard_loses_nothing_and_knows_what_comes() -> None:
    clip = LetterPaths(heard("no pain"))
    for cut in range(len("no pain") + 1):
        paths = spelt(clip, "no pain"[:cut])
        assert float(clip.loss(paths)[0]) == pytest.approx(0.0, abs=1e-3)
        rest = "no pain"[cut:].replace(" ", "")
        assert [CHARACTERS[number] for number in clip.coming(paths)[0]] == list(rest)
    assert float(clip.loss(spelt(clip, "no gain"))[0]) < -3
    assert float(clip.end_loss(spelt(clip, "no"))[0]) < -10  # the rest was heard, too
    unheard_space = clip.add_space(spelt(clip, "no p"), -1.5)
    assert float(clip.loss(unheard_space)[0]) == pytest.approx(-1.5, abs=1e-3)


@pytest.mark.parametrize(
    "said", ["der patient nimmt kalium seit gestern abend", "der patient kalium seit gestern abend"]
)
def test_a_window_changes_nothing_and_stays_narrow(said: str) -> None:
    """Also where a word that was heard is not in the text, and across a long pause."""
    letters = np.concatenate([heard("der patient nimmt kalium seit "), heard(" ", pause=60), heard("gestern abend")])
    clip = LetterPaths(letters)
    for cut in range(0, len(said) + 1, 4):
        whole, moving = spelt(clip, said[:cut]), spelt(clip, said[:cut], moving=True)
        assert float(clip.loss(moving)[0]) == pytest.approx(float(clip.loss(whole)[0]), abs=1e-2)
        assert np.array_equal(clip.coming(moving)[0], clip.coming(whole)[0])
    assert moving.scores.shape[2] < whole.scores.shape[2] / 2
    assert float(clip.end_loss(moving)[0]) == pytest.approx(float(clip.end_loss(whole)[0]), abs=1e-2)


def test_spellings_are_heard_together_and_the_hopeless_are_dropped() -> None:
    clip = LetterPaths(heard("no pain"))
    paths = spelt(clip, "no ").take(np.zeros(4, np.int64))
    words = [letters_of(word) for word in ("pain", "gain", "p", "painful")]
    spellings = np.array([word + [NO_LETTER] * (7 - len(word)) for word in words])
    given = np.array([-1.0, 5.0, 0.0, 0.0])
    found = {one.row: one for one in clip.spell(paths, spellings, given, -np.inf)}
    for row, word in enumerate(("pain", "gain", "p", "painful")):
        expected = given[row] + float(clip.loss(spelt(clip, f"no {word}"))[0])
        assert found[row].score == pytest.approx(expected, abs=1e-3)
    assert [one.row for one in clip.spell(paths, spellings, given, -2.0)] == [2, 0]  # gain and painful lose too much
    kept = stack([found[0], found[2]], paths.first, np.array([words[0][-1], words[2][-1]]))
    assert np.allclose(kept.scores[0], spelt(clip, "no pain").scores[0])
    assert np.array_equal(clip.coming(kept)[1], letters_of("ain"))
