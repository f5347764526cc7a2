"""Number words of English and German read as numbers, for scoring alone.

Written apart from the dictation layer on purpose: a mistake in one must not hide itself in the other. Knows nothing of
units, dates or the tokens around it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

_EN_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_EN_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_EN_VALUES = {word: value for value, word in enumerate(_EN_SMALL)} | {
    word: 20 + 10 * index for index, word in enumerate(_EN_TENS)
}
_EN_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_EN_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16,
    "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip

_DE_SMALL = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn "
    "achtzehn neunzehn"
).split()
_DE_TENS = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
_DE_VALUES = (
    {word: value for value, word in enumerate(_DE_SMALL)}
    | {word: 20 + 10 * index for index, word in enumerate(_DE_TENS)}
    | {"zwo": 2, "dreissig": 30}
)
_DE_SCALES = {"hundert": 100, "tausend": 1000, "million": 1_000_000, "millionen": 1_000_000}
_DE_INSIDE = {word: value for word, value in _DE_VALUES.items() if 1 <= value <= 9} | {"ein": 1}
_DE_ORDINALS = {"erst": 1, "dritt": 3, "siebt": 7, "siebent": 7, "acht": 8}
_DE_ORDINAL = re.compile(r"^(.+?)(?:e|en|er|es|em)$")
_DE_HALF = {"anderthalb": "1.5", "eineinhalb": "1.5"}
GERMAN_ONE = frozenset({"ein", "eine", "einen", "einem", "einer", "eines"})


def number_text(value: Decimal) -> str:
    """Return the one spelling of a number: no grouping, a decimal point, no trailing zeros (``5.0`` is ``5``)."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@lru_cache(maxsize=65536)
def integer_word(word: str, language: str) -> int | None:
    """Return the value of one lower-case number word (German compounds included), None if it is not one."""
    if language == "en":
        return _EN_VALUES.get(word)
    if word in _DE_VALUES:
        return _DE_VALUES[word]
    for scale_word in ("tausend", "hundert"):
        left, found, right = word.partition(scale_word)
        if found:
            return _german_product(left, _DE_SCALES[scale_word], right)
    left, found, right = word.partition("und")
    if found and left in _DE_INSIDE and _DE_VALUES.get(right, 0) >= 20:
        return _DE_INSIDE[left] + _DE_VALUES[right]
    return None


def _german_product(left: str, scale: int, right: str) -> int | None:
    right = right.removeprefix("und") if right not in _DE_VALUES else right
    factor = 1 if not left else _DE_INSIDE.get(left, integer_word(left, "de"))
    rest = 0 if not right else 1 if right == "ein" else integer_word(right, "de")
    if factor is None or rest is None or rest >= scale or (not left and not right):
        return None
    return factor * scale + rest


@lru_cache(maxsize=65536)
def ordinal_word(word: str, language: str) -> int | None:
    """Return the value of one lower-case ordinal word ("third", "einundzwanzigsten"), None if it is not one."""
    if language == "en":
        return _EN_ORDINALS.get(word)
    match = _DE_ORDINAL.match(word)
    if not match:
        return None
    stem = match.group(1)
    if stem in _DE_ORDINALS:
        return _DE_ORDINALS[stem]
    for ending, low in (("st", 20), ("t", 2)):
        if stem.endswith(ending):
            value = integer_word(stem[: -len(ending)], "de")
            if value is not None and value >= low and (ending == "st" or value < 20):
                return value
    return None


def read_number(words: Sequence[str], start: int, language: str) -> tuple[str, int] | None:
    """Read a spoken number at ``words[start]``: its canonical text and how many words it took, None if there is none.

    Reads decimals ("forty seven point five", "drei Komma fünf"), years ("nineteen eighty five"), halves and numbers
    whose digits and words are mixed ("2 million").
    """
    if language == "de" and words[start] in _DE_HALF:
        return _DE_HALF[words[start]], 1
    whole = _read_integer(words, start, language)
    if whole is None:
        return None
    value, end = whole
    point = "point" if language == "en" else "komma"
    if end + 1 < len(words) and words[end] == point:
        fraction = _read_fraction(words, end + 1, language)
        if fraction:
            return number_text(Decimal(f"{value}.{fraction[0]}")), fraction[1] - start
    if language == "en" and words[end : end + 3] == ["and", "a", "half"]:
        return number_text(Decimal(value) + Decimal("0.5")), end + 3 - start
    if language == "en" and value in (18, 19, 20) and not words[start].isdigit():
        year = _read_year_tail(words, end)
        if year:
            return str(value * 100 + year[0]), year[1] - start
    if end - start == 1 and words[start].isdigit():
        return None  # a lone digit string is already a number
    return str(value), end - start


def _read_year_tail(words: Sequence[str], start: int) -> tuple[int, int] | None:
    if start + 1 < len(words) and words[start] in ("oh", "o"):
        last = _EN_VALUES.get(words[start + 1])
        return (last, start + 2) if last is not None and last < 10 else None
    tail = _read_integer(words, start, "en") if start < len(words) and not words[start].isdigit() else None
    return tail if tail is not None and 10 <= tail[0] <= 99 else None


def _read_fraction(words: Sequence[str], start: int, language: str) -> tuple[str, int] | None:
    digits, end = "", start
    while end < len(words):
        word = words[end]
        value = 0 if word in ("oh", "o") and language == "en" else integer_word(word, language)
        if word.isdigit():
            digits += word
        elif value is not None and value < 10:
            digits += str(value)
        else:
            break
        end += 1
    if digits:
        return digits, end
    pair = _read_integer(words, start, language)
    return (str(pair[0]), pair[1]) if pair is not None and 10 <= pair[0] <= 99 else None


def _read_integer(words: Sequence[str], start: int, language: str) -> tuple[int, int] | None:
    """Read the longest integer phrase; None if ``words[start]`` begins none."""
    scales = _EN_SCALES if language == "en" else _DE_SCALES
    total, current, end = 0, None, start
    while end < len(words):
        word = words[end]
        if word in scales:
            if end == start and word not in ("hundred", "hundert", "thousand", "tausend"):
                return None
            scale = scales[word]
            if scale == 100:
                if current is not None and current >= 100:
                    break
                current = 100 * (1 if current is None else current)
            else:
                total += scale * (1 if current is None else current)
                current = None
            end += 1
            continue
        joined = _join_and(words, end, start, total, current, language)
        value = _word_value(words, joined, language, scales)
        if value is None or not _may_follow(current, total, value):
            break
        current = value if current is None else current + value
        end = joined + 1
    if end == start:
        return None
    return total + (current or 0), end


def _join_and(words: Sequence[str], end: int, start: int, total: int, current: int | None, language: str) -> int:
    """Return the index past an "and" that belongs to the number ("one hundred and five"), else ``end``."""
    if language != "en" or words[end] != "and" or end == start or end + 1 >= len(words):
        return end
    after_scale = (current is None and total > 0) or (current is not None and current % 100 == 0 and current > 0)
    return end + 1 if after_scale and words[end + 1] in _EN_VALUES else end


def _word_value(words: Sequence[str], at: int, language: str, scales: dict[str, int]) -> int | None:
    word = words[at]
    following = words[at + 1] if at + 1 < len(words) else ""
    if word.isdigit() and len(word) < 7:
        return int(word) if following in scales or following in ("point", "komma") else None
    if language == "de" and word in GERMAN_ONE:
        return 1 if following in scales or following == "komma" else None
    if language == "en" and word == "a":
        return 1 if following in scales else None
    return integer_word(word, language)


def _may_follow(current: int | None, total: int, value: int) -> bool:
    if current is None:
        return total == 0 or value < (1000 if total % 1_000_000 else 1_000_000)
    if current >= 100 and current % 100 == 0:
        return 0 < value < 100
    return current >= 20 and current % 10 == 0 and current % 100 != 0 and 1 <= value <= 9
