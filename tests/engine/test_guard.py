from __future__ import annotations

import pytest

from medstt.engine.guard import is_repetitive, is_silence, loop_start, token_limit


@pytest.mark.parametrize(
    ("tokens", "start"),
    [
        ([7] * 15, None),
        ([7] * 16, 1),
        ([1, 2, 3] + [7] * 20, 4),
        ([1, 2, 3] + [4, 5, 6, 7, 8] * 4, 8),
        ([4, 5, 6, 7, 8] * 3, None),
        ([4, 5, 6, 7, 8] * 4 + [9], None),
        (list(range(40)), None),
        ([0, 1, 7, 6, 0, 0, 0, 0, 4, 4, 4, 4], None),  # a telephone number
    ],
)
def test_a_loop_is_four_turns_over_sixteen_tokens(tokens: list[int], start: int | None) -> None:
    assert loop_start(tokens) == start


def test_only_repeated_text_is_repetitive() -> None:
    assert is_repetitive("the patient is well and " * 12)
    assert not is_repetitive("null null sieben eins, null null sieben zwei")
    assert not is_repetitive(
        "The patient was admitted with acute chest pain, treated with aspirin and heparin, and discharged on day five."
    )


def test_limits_and_silence() -> None:
    assert token_limit(6_000, 224) == 130
    assert token_limit(30_000, 224) == 224
    assert token_limit(0, 224) == 10
    assert is_silence(0.8, -1.5)
    assert not is_silence(0.8, -0.3)
    assert not is_silence(0.2, -1.5)
