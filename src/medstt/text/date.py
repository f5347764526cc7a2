"""Dates and times of day, as dictated: "March 3, 2025", "13. März 2024", "02.05.2024", "8:30 AM", "14:30 Uhr".

Knows nothing of other numbers.
"""

from __future__ import annotations

import re

from medstt.text.context import closes, low_at, near, word_at
from medstt.text.item import Item, written
from medstt.text.pack import Pack

Found = tuple[Item, int] | None
NOT_CLOCK = (
    "rate",
    "pressure",
    "pulse",
    "sodium",
    "glucose",
    "weight",
    "bp",
    "hr",
    "platelets",
    "pacing",
    "paced",
    "sugar",
    "dose",
    "rhythm",
    "tachycardia",
    "calcium",
    "systolic",
    "creatinine",
    "level",
)
DOTTED_DATE = re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{4}|\d{2})$")
DOTTED_TIME = re.compile(r"^([01]?\d|2[0-4])\.([0-5]\d)$")
MERIDIEM = {"am": "AM", "a.m.": "AM", "a.m": "AM", "pm": "PM", "p.m.": "PM", "p.m": "PM"}


def read_dates(items: list[Item], pack: Pack) -> list[Item]:
    """Return the items with dates and times joined into finished words."""
    read = _english if pack.language == "en" else _german
    result: list[Item] = []
    position = 0
    while position < len(items):
        found = read(items, position, pack) if items[position].kind in ("word", "num", "ord") else None
        if found is None:
            result.append(items[position])
            position += 1
        else:
            result.append(found[0])
            position = found[1]
    return result


def _year(items: list[Item], index: int) -> str:
    """A four-digit year at ``index``, or nothing."""
    number = items[index].number if 0 <= index < len(items) else None
    return str(number.whole) if number is not None and 1880 <= number.whole <= 2199 else ""


def _day(items: list[Item], index: int) -> str:
    """A day of the month, cardinal or ordinal, or nothing."""
    if not 0 <= index < len(items) or items[index].kind not in ("num", "ord") or len(items[index].parts) != 1:
        return ""
    part = items[index].parts[0]
    day = part.whole if not isinstance(part, str) and part.shape in ("int", "digits") else 0
    return str(day) if 1 <= day <= 31 else ""


def _english(items: list[Item], start: int, pack: Pack) -> Found:
    low = items[start].low
    if low in pack.months:
        return _month_first(items, start, pack)
    if items[start].kind in ("num", "ord"):
        return _day_first(items, start, pack) or _clock(items, start, pack)
    return None


def _month_first(items: list[Item], start: int, pack: Pack) -> Found:
    """ "March third twenty twenty five" -> "March 3, 2025"; "march" and "may" only where a date is meant."""
    name = items[start].low.capitalize()
    place = start + 2 if word_at(items, start + 1) == "the" and _day(items, start + 2) else start + 1
    year = _year(items, place)
    if year:
        return written(items[start : place + 1], f"{name} {year}", "date"), place + 1
    day = _day(items, place)
    if day and not _counts(items, place, pack):
        after = place + 1
        comma = low_at(items, after) == "," and items[after].kind == "mark"
        year = _year(items, after + comma)
        if year:
            return written(items[start : after + comma + 1], f"{name} {day}, {year}", "date"), after + comma + 1
        return written(items[start:after], f"{name} {day}", "date"), after
    if items[start].low in pack.sets["ambiguous_months"]:
        before = word_at(items, start - 1)
        if before not in pack.sets["month_before"] or word_at(items, start + 1) in ("be", "have", "not"):
            return None
        if before in ("this", "by", "next", "of") and items[start].low == "may" and not closes(items, start + 1):
            return None
    return written(items[start : start + 1], name, "date"), start + 1


def _counts(items: list[Item], index: int, pack: Pack) -> bool:
    """Tell whether the number counts something ("in May 3 lesions") rather than naming a day."""
    return items[index].kind == "num" and pack.units.match(items, index + 1) is not None


def _day_first(items: list[Item], start: int, pack: Pack) -> Found:
    """ "fifth of March twenty twenty four" -> "5th of March 2024"; "five March" -> "5 March"."""
    day = _day(items, start)
    of = word_at(items, start + 1) == "of"
    month = start + 1 + of
    if not day or word_at(items, month) not in pack.months:
        return None
    ambiguous = items[month].low in pack.sets["ambiguous_months"]
    if items[start].kind == "num" and (of or (ambiguous and not _year(items, month + 1))):
        return None
    name, after = items[month].low.capitalize(), month + 1
    comma = low_at(items, after) == "," and bool(_year(items, after + 1)) and items[after].origin == "words"
    year = _year(items, after + comma)
    shown = english_ordinal(int(day)) if items[start].kind == "ord" else day
    text = f"{shown}{' of' if of else ''} {name}{',' if comma else ''}{' ' + year if year else ''}"
    end = after + comma + 1 if year else after
    return written(items[start:end], text, "date"), end


def english_ordinal(value: int) -> str:
    """Write 1st, 2nd, 3rd, 11th, 21st."""
    ending = "th" if 10 <= value % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def _clock(items: list[Item], start: int, pack: Pack) -> Found:
    """ "eight thirty a m" -> "8:30 AM"; "at fourteen thirty" -> "at 14:30"."""
    number = items[start].number
    if number is None:
        return None
    end, half = start + 1, ""
    low = word_at(items, end)
    if low in MERIDIEM:
        half, end = MERIDIEM[low], end + 1
    elif low in ("a", "p") and word_at(items, end + 1) == "m" and _ends_clock(items, start, end + 2):
        half, end = low.upper() + "M", end + 2
    if number.pair and number.pair[0] <= 23 and number.pair[1] <= 59:
        hour, minute = number.pair
        if half or _is_clock(items, start, minute, pack):
            text = f"{hour}:{minute:02d}" + (f" {half}" if half else "")
            return written(items[start:end], text, "time"), end
        return None
    if not half:
        return None
    if number.shape == "text" and ":" in number.value:
        return written(items[start:end], f"{number.value} {half}", "time"), end
    if 1 <= number.whole <= 12 and number.shape == "int":
        return written(items[start:end], f"{number.whole} {half}", "time"), end
    if number.shape in ("int", "digits") and len(number.value) in (3, 4) and int(number.value[-2:]) < 60:
        return written(items[start:end], f"{int(number.value[:-2])}:{number.value[-2:]} {half}", "time"), end
    return None


def _ends_clock(items: list[Item], start: int, end: int) -> bool:
    """Tell "two a m" from the codes of "N two a M one"."""
    follower = items[end].low if end < len(items) else ""
    return (
        len(word_at(items, start - 1)) != 1
        and follower not in ("one", "zero", "x")
        and (end >= len(items) or items[end].kind != "num" or len(word_at(items, start - 1)) > 1)
    )


def _is_clock(items: list[Item], start: int, minute: int, pack: Pack) -> bool:
    """Tell whether a bare pair after "at" is a time of day."""
    if word_at(items, start - 1) not in pack.sets["time_before"] or near(items, start, NOT_CLOCK, 6):
        return False
    if pack.units.match(items, start + 1) or word_at(items, start + 1) in ("over", "to", "hours"):
        return False
    only_at = word_at(items, start - 1) in ("at", "until", "around")
    return minute % 5 == 0 and (only_at or word_at(items, start + 1) in ("in", "this", "today", "yesterday"))


def _german(items: list[Item], start: int, pack: Pack) -> Found:
    item = items[start]
    if item.kind == "word":
        day = DOTTED_DATE.match(item.low)
        if day and 1 <= int(day.group(1)) <= 31 and 1 <= int(day.group(2)) <= 12:
            text = f"{int(day.group(1)):02d}.{int(day.group(2)):02d}.{day.group(3)}"
            return (written([item], text, "date"), start + 1) if text != item.text else None
        dotted = DOTTED_TIME.match(item.low) if word_at(items, start + 1) == "uhr" else None
        if dotted is None:
            return None
        return written(items[start : start + 2], f"{dotted.group(1)}:{dotted.group(2)} Uhr", "time"), start + 2
    return (
        _named_year(items, start)
        or _german_date(items, start, pack)
        or _german_digits(items, start)
        or _uhr(items, start, pack)
    )


def _german_date(items: list[Item], start: int, pack: Pack) -> Found:
    """ "dreizehnter März zweitausendvierundzwanzig" -> "13. März 2024"; "zweiter fünfter" -> "02.05."."""
    day = _day(items, start)
    if items[start].kind != "ord" or not day:
        return None
    month = word_at(items, start + 1)
    if month in pack.months:
        year, end = _german_year(items, start + 2)
        return written(
            items[start:end], f"{day}. {items[start + 1].text.capitalize()}{' ' + year if year else ''}", "date"
        ), end
    second = items[start + 1] if start + 1 < len(items) else None
    if second is None or second.kind != "ord" or not 1 <= int(_day(items, start + 1) or 13) <= 12:
        return None
    year, end = _german_year(items, start + 2, short=True)
    if not year and word_at(items, start - 1) not in ("am", "vom", "bis", "zum", "seit", "ab", "den", "dem", "und"):
        return None
    return written(items[start:end], f"{int(day):02d}.{int(_day(items, start + 1)):02d}.{year}", "date"), end


def _german_year(items: list[Item], index: int, *, short: bool = False) -> tuple[str, int]:
    """The year at ``index``: 2024, "zwanzig vierundzwanzig", or with ``short`` two digits."""
    year = _year(items, index)
    if year:
        return year, index + 1
    number = items[index].number if index < len(items) else None
    if number is None or number.shape not in ("int", "digits") or items[index].weak:
        return "", index
    following = items[index + 1].number if index + 1 < len(items) else None
    if number.whole in (19, 20) and following is not None and 10 <= following.whole <= 99:
        return f"{number.whole}{following.whole}", index + 2
    if short and 0 <= number.whole <= 99:
        return f"{number.whole:02d}", index + 1
    return "", index


def _named_year(items: list[Item], start: int) -> Found:
    """ "im Jahr zwanzig vierundzwanzig" -> "im Jahr 2024"."""
    if word_at(items, start - 1) not in ("jahr", "jahre"):
        return None
    year, end = _german_year(items, start)
    return (written(items[start:end], year, "date"), end) if end == start + 2 else None


def _german_digits(items: list[Item], start: int) -> Found:
    """ "null zwei Punkt null fünf Punkt zweitausendvierundzwanzig" -> "02.05.2024"."""
    shape = [low_at(items, start + 1), low_at(items, start + 3)]
    if shape != [".", "."] or start + 4 >= len(items) or items[start].kind != "num":
        return None
    day, month = _day(items, start), _day(items, start + 2)
    number = items[start + 4].number
    if (
        not day
        or not month
        or int(month) > 12
        or number is None
        or number.whole < 0
        or items[start + 1].origin == "words"
    ):
        return None
    year = str(number.whole) if number.whole > 1000 else f"{number.whole:02d}"
    return written(items[start : start + 5], f"{int(day):02d}.{int(month):02d}.{year}", "date"), start + 5


def _uhr(items: list[Item], start: int, pack: Pack) -> Found:
    """ "vierzehn Uhr dreißig" -> "14:30 Uhr"; "um acht Uhr zwei Tabletten" keeps its count."""
    number = items[start].number
    if number is None or not 0 <= number.whole <= 24:
        return None
    until = items[start + 2].number if start + 2 < len(items) and word_at(items, start + 1) == "bis" else None
    whole = start + 4 >= len(items) or items[start + 4].kind != "num"
    hours = until is not None and whole and word_at(items, start + 3) == "uhr" and word_at(items, start - 1) != "von"
    if until is not None and hours and number.whole < until.whole <= 24:
        return written(items[start : start + 4], f"{number.whole}-{until.whole} Uhr", "time"), start + 4
    if word_at(items, start + 1) != "uhr":
        return None
    hour = str(number.whole)
    minute = items[start + 2].number if start + 2 < len(items) and not items[start + 2].weak else None
    if minute is not None and 0 <= minute.whole <= 59 and not _counted(items, start + 3, minute.whole, pack):
        return written(items[start : start + 3], f"{hour}:{minute.whole:02d} Uhr", "time"), start + 3
    return written(items[start : start + 2], f"{hour} Uhr", "time"), start + 2


def _counted(items: list[Item], index: int, value: int, pack: Pack) -> bool:
    """Tell whether a number after "Uhr" counts the next word instead of minutes."""
    if (
        pack.units.match(items, index)
        or word_at(items, index) in pack.sets["one"] | pack.sets["half"] | pack.sets["solid"]
    ):
        return True
    following = items[index].text if word_at(items, index) else ""
    return value < 10 and following[:1].isupper()
