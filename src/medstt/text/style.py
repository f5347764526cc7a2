"""How numbers and units are written: the site's choices, and the rendering of one number under them.

Knows nothing of context; the passes before have decided what is a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medstt.text.item import Number, Part


@dataclass(frozen=True, slots=True)
class DoseRange:
    """A site's usual single dose of a drug: bounds in ``unit``, inclusive."""

    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class Style:
    """A site's choices; every field is one switchable rule. None of them may change a value.

    ``microgram`` is the sign for micrograms, ``group_from`` the smallest integer written with group separators,
    ``dose_ranges`` maps a drug in lower case to its usual dose (none is built in), ``variables`` fill auto-texts,
    ``doubt_below`` is the confidence (0-1) under which numbers, negations and drugs are flagged.
    """

    microgram: str = "mcg"
    decimal_sign: str = "."
    group_sign: str = ","
    group_from: int = 10_000
    drop_trailing_zero: bool = True
    safe_units: bool = True
    sentence_case: bool = True
    known_case: bool = True
    house_spelling: bool = True
    space_after_comparison: bool = True
    doubt_below: float = 0.5
    dose_ranges: Mapping[str, DoseRange] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


COMPARISONS = ("<", ">", "≤", "≥")
STYLES: dict[str, Style] = {
    "en": Style(),
    "de": Style(microgram="µg", decimal_sign=",", group_sign="."),
}


def write_number(number: Number, style: Style) -> str:
    """Write one number: decimal sign, group separators from ``group_from`` on, the sign before it."""
    if number.shape in ("text", "fraction", "digits"):
        return number.sign + number.value
    whole, point, fraction = number.value.partition(".")
    if len(whole) <= 15 and int(whole) >= style.group_from:
        whole = f"{int(whole):,}".replace(",", style.group_sign)
    return number.sign + whole + (style.decimal_sign + fraction if point else "")


def write_parts(parts: tuple[Part, ...], style: Style) -> str:
    """Write numbers and the signs between them."""
    spaced = {sign: sign + " " for sign in COMPARISONS} if style.space_after_comparison else {}
    return "".join(spaced.get(part, part) if isinstance(part, str) else write_number(part, style) for part in parts)
