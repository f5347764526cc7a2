"""Sound codes: Kölner Phonetik for German, Metaphone for English.

Owns which code a language uses and its cost-saving cache; knows nothing of terms.
"""

from __future__ import annotations

import re

import jellyfish

from medstt.values import Language
from medstt.vocab.fold import fold

_NOT_LETTERS = re.compile(r"[^a-z ]+")
_SIBILANT = frozenset("szx8")
_BEFORE_HARD_C = frozenset("ahkloqrux")
_BEFORE_HARD_C_INSIDE = frozenset("ahkoqux")
_PLAIN = {
    **dict.fromkeys("aeijouy", "0"),
    "b": "1",
    **dict.fromkeys("fvw", "3"),
    **dict.fromkeys("gkq", "4"),
    "l": "5",
    **dict.fromkeys("mn", "6"),
    "r": "7",
    **dict.fromkeys("sz", "8"),
}


def koelner(word: str) -> str:
    """Return the Kölner Phonetik code of one word (Postel 1969): digits, repeated digits once, 0 only in front."""
    letters = "".join(char for char in fold(word) if "a" <= char <= "z")
    codes = [_koelner_letter(letters, index) for index in range(len(letters))]
    joined = "".join(codes)
    squeezed = "".join(char for index, char in enumerate(joined) if index == 0 or char != joined[index - 1])
    return squeezed[:1] + squeezed[1:].replace("0", "")


def _koelner_letter(letters: str, index: int) -> str:
    char = letters[index]
    before = letters[index - 1] if index else ""
    after = letters[index + 1] if index + 1 < len(letters) else ""
    if char in _PLAIN:
        return _PLAIN[char]
    if char == "p":
        return "3" if after == "h" else "1"
    if char in "dt":
        return "8" if after and after in "csz" else "2"
    if char == "x":
        return "8" if before and before in "ckq" else "48"
    if char == "c":
        if before and before in "sz":
            return "8"
        hard = _BEFORE_HARD_C if index == 0 else _BEFORE_HARD_C_INSIDE
        return "4" if after and after in hard else "8"
    return ""  # h


def sound(text: str, language: Language) -> str:
    """Return the sound code of a term, one code per word; empty for text without letters."""
    words = _NOT_LETTERS.sub(" ", fold(text)).split()
    code = koelner if language == "de" else jellyfish.metaphone
    return " ".join(filter(None, (code(word) for word in words)))
