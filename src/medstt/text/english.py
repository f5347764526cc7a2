"""English numbers spoken as words: cardinals, decimals, digit strings, pairs ("one twenty"), fractions, ordinals.

Knows nothing of units, dates or how a number is written.
"""

from __future__ import annotations

from medstt.text.item import Item, Number, join_words

DIGITS = {w: n for n, w in enumerate("zero one two three four five six seven eight nine".split())} | {"nought": 0}
TEENS = {
    w: n
    for n, w in enumerate("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), 10)
}
TENS = {w: n * 10 for n, w in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
TENS["fourty"] = 40
BELOW_100 = DIGITS | TEENS | TENS | {f"{t}-{d}": TENS[t] + DIGITS[d] for t in TENS for d in list(DIGITS)[1:10]}
OH = ("oh", "o")
ORDINALS = {
    w: n
    for n, w in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
        "fifteenth sixteenth seventeenth eighteenth nineteenth".split(),
        1,
    )
}
ORDINAL_TENS = {
    w: n * 10
    for n, w in enumerate("twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth".split(), 2)
}
ORDINALS |= ORDINAL_TENS | {f"{t}-{o}": TENS[t] + n for t in TENS for o, n in list(ORDINALS.items())[:9]}
PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4}
PARTS_MANY = {"halves": 2, "thirds": 3, "quarters": 4, "fourths": 4, "fifths": 5, "eighths": 8, "tenths": 10}


def parse_number(items: list[Item], start: int) -> tuple[Item, int] | None:
    """Return the number or ordinal spoken at ``start`` and the index after it, or None."""
    low = items[start].low
    if low not in BELOW_100 and low not in ORDINALS and low not in ("a", "oh", "o", "point", "half"):
        return None
    return _ordinal(items, start) or _fraction(items, start) or _decimal(items, start) or _whole(items, start)


def _at(items: list[Item], index: int) -> str:
    return items[index].low if 0 <= index < len(items) and items[index].kind == "word" else ""


def _below_100(items: list[Item], start: int) -> tuple[int, int] | None:
    """A number from 0 to 99."""
    value = BELOW_100.get(_at(items, start))
    if value is None:
        return None
    if _at(items, start) in TENS and DIGITS.get(_at(items, start + 1), 0) > 0:
        return value + DIGITS[_at(items, start + 1)], start + 2
    return value, start + 1


def _tail(items: list[Item], end: int) -> tuple[int, int]:
    """What follows "hundred" or "thousand": "and five", "twenty five"; (0, end) where nothing does."""
    skip = end + 1 if _at(items, end) == "and" else end
    found = _below_100(items, skip)
    run, run_end = _digit_run(items, end)
    if len(run) > 2 or (len(run) == 2 and _at(items, run_end) != "point"):
        return 0, end
    if not found or (skip > end and _at(items, found[1]) == "hundred"):
        return 0, end
    return found


def _cardinal(items: list[Item], start: int) -> tuple[int, int] | None:
    """A cardinal in one piece: "forty seven", "a hundred and five", "twenty five thousand three hundred"."""
    found = _below_100(items, start)
    if _at(items, start) == "a" and _at(items, start + 1) in ("hundred", "thousand"):
        found = (1, start + 1)
    if found is None:
        return None
    value, end = found
    if _at(items, end) == "hundred" and 0 < value < 100:
        rest, end = _tail(items, end + 1)
        value = value * 100 + rest
    if _at(items, end) == "thousand" and 0 < value < 1000:
        end += 1
        below = _below_100(items, end)
        if below and _at(items, below[1]) == "hundred" and below[0] > 0:
            rest, after = _tail(items, below[1] + 1)
            return value * 1000 + below[0] * 100 + rest, after
        rest, end = _tail(items, end)
        value = value * 1000 + rest
    return value, end


def _digit_run(items: list[Item], start: int, *, after_point: bool = False) -> tuple[str, int]:
    """Consecutive single digits, "oh" as zero, "double five" as two fives."""
    text, end = "", start
    while True:
        low = _at(items, end)
        if low in DIGITS:
            text, end = text + str(DIGITS[low]), end + 1
        elif low in OH and (text or after_point or (low == "oh" and _at(items, end + 1) in DIGITS)):
            text, end = text + "0", end + 1
        elif low in ("double", "triple") and text and _at(items, end + 1) in DIGITS:
            text, end = text + str(DIGITS[_at(items, end + 1)]) * (2 if low == "double" else 3), end + 2
        else:
            return text, end


def _make(items: list[Item], start: int, end: int, number: Number, *, weak: bool = False) -> tuple[Item, int]:
    used = items[start:end]
    text = " ".join(item.text for item in used)
    return Item("num", text, text.lower(), join_words(used), "number", parts=(number,), weak=weak), end


def _whole(items: list[Item], start: int) -> tuple[Item, int] | None:
    """An integer, a string of digits, or a pair."""
    run, run_end = _digit_run(items, start)
    long = len(run) >= 3 or (len(run) == 2 and run[0] == "0")
    if long and _at(items, run_end) not in ("hundred", "thousand", "point"):
        return _make(items, start, run_end, Number(run, "digits"))
    found = _cardinal(items, start)
    if found is None:
        return None
    value, end = found
    follower = _second(items, value, end)
    if follower:
        low, after = follower
        return _make(items, start, after, Number(str(value * 100 + low), "pair", pair=(value, low)))
    return _make(items, start, end, Number(str(value)), weak=_at(items, start) == "one" and end == start + 1)


def _second(items: list[Item], value: int, end: int) -> tuple[int, int] | None:
    """The second half of "one twenty", "nineteen eighty five", "eight oh five", "eight thirty"."""
    if items[end - 1].low in ("hundred", "thousand") or not 0 < value < 100:
        return None
    spelled = len(_at(items, end - 2)) == 1 and _at(items, end - 2) != "a"
    if value < 10 and spelled:
        return None
    if _at(items, end) in OH and _at(items, end + 1) in DIGITS and (value < 24):
        return DIGITS[_at(items, end + 1)], end + 2
    found = _below_100(items, end)
    if not found or found[0] < 10 or _at(items, found[1]) in ("hundred", "thousand"):
        return None
    again = _below_100(items, found[1])
    if again and again[0] >= 10:
        return None
    return found if value < 24 and items[end].low not in DIGITS else None


def _decimal(items: list[Item], start: int) -> tuple[Item, int] | None:
    """ "forty seven point five", "oh point five", "point five"."""
    if _at(items, start) == "point":
        if _at(items, start - 1) in (
            "this",
            "that",
            "the",
            "one",
            "some",
            "what",
            "which",
            "starting",
            "end",
            "at",
            "a",
        ):
            return None
        whole, end = "0", start
    elif _at(items, start) in OH:
        whole, end = "0", start + 1
    else:
        run, run_end = _digit_run(items, start)
        found = _cardinal(items, start)
        if found is None:
            return None
        whole, end = str(found[0]), found[1]
        if len(run) > 1 and _at(items, run_end) == "point":
            if len(_at(items, start - 1)) == 1 and _at(items, start - 1) != "a":
                return _make(items, start, start + 1, Number(run[0]))
            whole, end = run, run_end
        elif _at(items, end) != "point":
            pair = _second(items, found[0], end)
            if pair:
                whole, end = str(found[0] * 100 + pair[0]), pair[1]
    if _at(items, end) != "point":
        return None
    fraction, after = _digit_run(items, end + 1, after_point=True)
    below = _below_100(items, end + 1)
    if not fraction and below:
        fraction, after = str(below[0]), below[1]
    if not fraction:
        return None
    return _make(items, start, after, Number(f"{whole}.{fraction}", "decimal"))


def _fraction(items: list[Item], start: int) -> tuple[Item, int] | None:
    """ "two and a half", "one third", "three quarters"; "half" alone is left to the counts."""
    if _at(items, start) in ("half", "a", "oh", "o", "point"):
        return None
    found = _cardinal(items, start)
    if found is None:
        return None
    value, end = found
    if _at(items, end) == "and":
        nominator, place = (1, end + 2) if _at(items, end + 1) in ("a", "one") else (3, end + 2)
        part = PARTS.get(_at(items, place)) if nominator == 1 else None
        if _at(items, end + 1) == "three" and _at(items, place) == "quarters":
            part = 4
        if part and _at(items, place) != "fourth":
            return _make(items, start, place + 1, Number(f"{value} {nominator}/{part}", "fraction"))
    if end != start + 1:
        return None
    part = PARTS.get(_at(items, end)) if value == 1 else PARTS_MANY.get(_at(items, end)) if value < 10 else None
    if part and value:
        return _make(items, start, end + 1, Number(f"{value}/{part}", "fraction"))
    return None


def _ordinal(items: list[Item], start: int) -> tuple[Item, int] | None:
    """ "fifth", "twenty first": the item keeps its words until a context makes it a date or a rank."""
    low = _at(items, start)
    value, end = ORDINALS.get(low), start + 1
    if value is None and low in TENS and 0 < ORDINALS.get(_at(items, start + 1), 0) < 10:
        value, end = TENS[low] + ORDINALS[_at(items, start + 1)], start + 2
    if value is None:
        return None
    used = items[start:end]
    text = " ".join(item.text for item in used)
    return Item("ord", text, text.lower(), join_words(used), "verbatim", parts=(Number(str(value)),)), end
