"""Text files as sentences: what is left out, how marks are said, how capitals are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from medstt.errors import DataError
from medstt.synth.corpus import names_any, read_lines, read_sentences

LINES = [
    "The heart is normal, the lungs are clear.",
    "We gave 5 mg today.",
    "She takes insulin glargine at night.",
    "Was there any fever?",
    "No.",
    "The CT was fine today.",
    "The heart is normal, the lungs are clear.",
]


def texts(lines: list[str], lang: str = "en", marks: float = 0.0, forbidden: frozenset[str] = frozenset()) -> list[str]:
    found = read_sentences(lines, lang, forbidden=forbidden, max_words=12, spoken_marks=marks, seed=1)  # type: ignore[arg-type]
    return [sentence.text for sentence in found]


def test_unusable_and_repeated_lines_are_left_out() -> None:
    assert texts(LINES) == [
        "the heart is normal the lungs are clear",
        "she takes insulin glargine at night",
        "was there any fever",
    ]


def test_marks_are_dictated() -> None:
    assert texts(LINES[:1], marks=1.0) == ["the heart is normal comma the lungs are clear period"]
    assert texts(["Ist er gesund?"], "de", 1.0) == ["Ist er gesund Fragezeichen"]


def test_german_nouns_keep_their_capital() -> None:
    lines = ["Fieber hatte er nicht.", "Er hatte hohes Fieber.", "Danach war er gesund.", "Er war danach müde."]
    assert texts(lines, "de")[0] == "Fieber hatte er nicht"
    assert texts(lines, "de")[2] == "danach war er gesund"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("she takes bisoprolol", True),
        ("die bisoprololtherapie läuft", True),
        ("insulin glargine at night", True),
        ("insulin lispro at night", False),
        ("gold standard", False),
        ("golden hour", False),
    ],
)
def test_names_are_found_inflected_and_compounded(text: str, expected: bool) -> None:
    assert names_any(text.split(), frozenset({"bisoprolol", "insulin glargine", "golde"})) is expected


def test_forbidden_names_never_come_through() -> None:
    assert "glargine" not in " ".join(texts(LINES, forbidden=frozenset({"insulin glargine"})))


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Größe".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.txt"):
        read_lines([tmp_path / "a.txt"])
