"""No speaker in two splits, the same splits every time, shares about as asked."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medstt.data import SplitOptions, split_utterances
from medstt.errors import DataError
from medstt.values import Utterance


def rows(counts: dict[str, int]) -> list[Utterance]:
    return [
        Utterance(f"{name}-{number}", "a.wav", "text", "en", speaker=name)
        for name, count in counts.items()
        for number in range(count)
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.text(max_size=4), st.integers(1, 30), min_size=3, max_size=20),
    st.integers(0, 5),
)
def test_speakers_are_never_shared(counts: dict[str, int], seed: int) -> None:
    utterances = rows(counts)
    options = SplitOptions(dev=0.1, test=0.2, seed=seed)
    split = split_utterances(utterances, options)
    assert [row.id for row in split] == [row.id for row in utterances]
    where: dict[str, set[str]] = {}
    for row in split:
        where.setdefault(row.speaker, set()).add(row.split)
    assert all(len(names) == 1 for names in where.values())
    assert {name for names in where.values() for name in names} == {"train", "dev", "test"}
    assert split_utterances(list(reversed(utterances)), options)[::-1] == split


def test_shares_are_about_as_asked() -> None:
    split = split_utterances(rows({f"s{number}": 10 for number in range(40)}), SplitOptions(dev=0.1, test=0.2))
    counts = {name: sum(row.split == name for row in split) for name in ("train", "dev", "test")}
    assert counts == {"train": 280, "dev": 40, "test": 80}


def test_as_many_speakers_as_splits() -> None:
    split = split_utterances(rows({"a": 1, "b": 4, "c": 1}), SplitOptions(dev=0.1, test=0.2))
    assert sorted({row.split for row in split}) == ["dev", "test", "train"]


def test_one_speaker_cannot_be_divided() -> None:
    with pytest.raises(DataError, match=r"1 speaker.*Name the speakers"):
        split_utterances(rows({"": 50}), SplitOptions())
    with pytest.raises(DataError, match="leave nothing to train on"):
        SplitOptions(dev=0.5, test=0.5)
