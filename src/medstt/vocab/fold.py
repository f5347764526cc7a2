"""Keys under which spellings meet: case, umlauts and ß, and the looser German/English/Latin spelling families.

Knows nothing of terms or files; every function is pure.
"""

from __future__ import annotations

import re
import unicodedata

_LETTERS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "oe", "µ": "μ", "’": "'"}
)
_SPLIT = re.compile(r"[^\W_]+")
# Ordered rewrites that bring Karzinom/Carcinom/carcinoma, oesophagus/esophagus and Photo-/Foto- together.
_SPELLING = (
    (re.compile(r"sz|sc(?=[eiy])"), "s"),
    (re.compile(r"ck|kk|cc(?![eiy])"), "k"),
    (re.compile(r"c(?=[eiy]|ae|oe)"), "z"),
    (re.compile(r"ch(?=[rl])"), "k"),
    (re.compile(r"c(?!h)"), "k"),
    (re.compile(r"ph"), "f"),
    (re.compile(r"(?<=[rtp])h"), ""),
    (re.compile(r"ae|oe"), "e"),
    (re.compile(r"[yj]"), "i"),
    (re.compile(r"qu"), "kv"),
    (re.compile(r"(.)\1"), r"\1"),
)


def fold(text: str) -> str:
    """Lower the case and write ä as ae, ß as ss and so on; other accents are dropped, inner spaces become one."""
    if text.isascii():
        lowered = text.lower()
    else:
        composed = unicodedata.normalize("NFC", text).casefold().translate(_LETTERS)
        if composed.isascii():
            lowered = composed
        else:
            split = unicodedata.normalize("NFKD", composed)
            lowered = "".join(char for char in split if not unicodedata.combining(char))
    return lowered if "  " not in lowered and lowered.strip() == lowered else " ".join(lowered.split())


def tokens(text: str) -> tuple[str, ...]:
    """Split folded text into its runs of letters and digits."""
    return tuple(_SPLIT.findall(fold(text)))


def spelling_key(text: str) -> str:
    """Reduce a term to its spelling family: c/k/z, ph/f, th/t, ae/oe/e, y/i and doubled letters fall together."""
    key = "".join(_SPLIT.findall(fold(text)))
    for pattern, replacement in _SPELLING:
        key = pattern.sub(replacement, key)
    return key.rstrip("e") if len(key) > 4 else key
