"""German numbers spoken as words: cardinals in one word, decimals with "Komma", digit strings, fractions, ordinals.

Knows nothing of units, dates or how a number is written.
"""

from __future__ import annotations

import functools

from medstt.text.item import Item, Number, join_words

UNITS = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn"
)
TENS = {w: n * 10 for n, w in enumerate("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split(), 2)}
ONE_FORMS = ("ein", "eine", "einen", "einer", "einem", "eines")
FRACTIONS = {
    "halb": 2,
    "halbe": 2,
    "halben": 2,
    "drittel": 3,
    "viertel": 4,
    "fünftel": 5,
    "achtel": 8,
    "zehntel": 10,
    "sechstel": 6,
}
MIXED = ("einhalb", "eineinhalb", "einundeinhalb", "anderthalb", "anderthalbe", "eineinviertel", "eindreiviertel")


def _fold(word: str) -> str:
    """Fold ss, ae, oe, ue and zwo so that one table serves all spellings."""
    folded = word.replace("ß", "ss").replace("ü", "ue").replace("ö", "oe").replace("ä", "ae")
    return folded.replace("zwo", "zwei") if "zwo" in folded and "zwoe" not in folded else folded


def _below_1000() -> dict[str, int]:
    """Every cardinal from 0 to 999 and the spoken years 1100-1999, in folded spelling."""
    small = {_fold(w): n for n, w in enumerate(UNITS.split())}
    table = dict(small)
    for tens, ten in TENS.items():
        table[_fold(tens)] = ten
        for word, digit in list(small.items())[1:10]:
            table[("ein" if digit == 1 else word) + "und" + _fold(tens)] = ten + digit
    under = dict(table)
    for word, digit in list(small.items())[1:20]:
        if digit == 10:
            continue
        for head in {"ein" if digit == 1 else word, ""} if digit == 1 else {word}:
            table[head + "hundert"] = digit * 100
            for rest, value in under.items():
                if value:
                    table[f"{head}hundert{rest}"] = table[f"{head}hundertund{rest}"] = digit * 100 + value
    return table


BELOW_1000 = _below_1000()


def _ordinals() -> dict[str, int]:
    """Ordinals 1-99 without their ending."""
    special = {1: "erst", 3: "dritt", 7: "siebt", 8: "acht"}
    table = {}
    for word, value in BELOW_1000.items():
        if 0 < value < 100:
            table[special.get(value, word + ("t" if value < 20 else "st"))] = value
    table["siebent"] = 7
    return table


ORDINALS = {stem + "e" + end: value for stem, value in _ordinals().items() for end in ("", "n", "r", "s", "m")}


@functools.lru_cache(maxsize=4096)
def cardinal(word: str) -> int | None:
    """Read one German number word up to 999,999; None where it is none."""
    if not word or len(word) > 60:
        return None
    folded = _fold(word)
    if folded in BELOW_1000:
        return BELOW_1000[folded]
    head, thousand, tail = folded.partition("tausend")
    if not thousand:
        return None
    left = 1 if head in ("", "ein") else BELOW_1000.get(head)
    right = 0 if not tail else BELOW_1000.get(tail.removeprefix("und") or "?")
    if left is None or right is None or not left or left > 999:
        return None
    return left * 1000 + right


def ordinal(word: str) -> int | None:
    """Read one German ordinal up to 99 in any ending; None where it is none."""
    return ORDINALS.get(_fold(word))


def parse_number(items: list[Item], start: int) -> tuple[Item, int] | None:
    """Return the number or ordinal spoken at ``start`` and the index after it, or None."""
    if items[start].kind != "word":
        return None
    low = items[start].low
    if low == "acht" and (
        _at(items, start + 1) in ("geben", "gibt", "gegeben", "lassen", "gelassen", "nehmen")
        or _at(items, start - 1) == "außer"
    ):
        return None
    if low == "sieben" and start > 0 and _at(items, start - 1) in ("urin", "harn"):
        return None
    if low in ONE_FORMS:
        return _one(items, start)
    mixed = _mixed(low)
    if mixed:
        return _make(items, start, start + 1, Number(mixed, "fraction"))
    rank = ordinal(low)
    if rank is not None:
        return Item("ord", items[start].text, low, items[start].words, parts=(Number(str(rank)),)), start + 1
    if cardinal(low) is None and low not in ("halbe", "halben"):
        return None
    return _fraction(items, start) or _decimal(items, start) or _whole(items, start)


def _at(items: list[Item], index: int) -> str:
    return items[index].low if 0 <= index < len(items) and items[index].kind == "word" else ""


def _mixed(low: str) -> str | None:
    """ "zweieinhalb" -> "2 1/2", "anderthalb" -> "1 1/2", "einhalb" -> "1/2"."""
    if low in ("anderthalb", "anderthalbe", "eineinhalb", "einundeinhalb", "anderthalben"):
        return "1 1/2"
    if low == "einhalb":
        return "1/2"
    for ending, text in (("undeinhalb", "1/2"), ("einhalb", "1/2"), ("einviertel", "1/4"), ("dreiviertel", "3/4")):
        if low.endswith(ending):
            head = low[: -len(ending)]
            value = 1 if head == "ein" else cardinal(head) if head else None
            return f"{value} {text}" if value else None
    return None


def _make(items: list[Item], start: int, end: int, number: Number, *, weak: bool = False) -> tuple[Item, int]:
    used = items[start:end]
    text = " ".join(item.text for item in used)
    return Item("num", text, text.lower(), join_words(used), "number", parts=(number,), weak=weak), end


def _one(items: list[Item], start: int) -> tuple[Item, int] | None:
    """ "ein", "eine": an article unless what follows makes it a number or a fraction."""
    following = _at(items, start + 1)
    if following in ("drittel", "viertel", "fünftel", "achtel", "zehntel"):
        return _make(items, start, start + 2, Number(f"1/{FRACTIONS[following]}", "fraction"))
    if following in ("halb", "halbe", "halben", "halber", "viertel"):
        return _make(items, start, start + 2, Number("1/2", "fraction"), weak=True)
    if following in ("hundert", "tausend") and items[start].low == "ein":
        return _whole(items, start)
    return _make(items, start, start + 1, Number("1"), weak=True)


def _joined(items: list[Item], start: int) -> tuple[int, int] | None:
    """A cardinal in one word, or cut at "hundert" and "tausend" by the recogniser: "hundert zwanzig"."""
    value = 1 if _at(items, start) == "ein" else cardinal(_at(items, start))
    if value is None:
        return None
    end = start + 1
    for scale, name in ((100, "hundert"), (1000, "tausend")):
        if _at(items, end) == name and 0 < value < (20 if scale == 100 else 1000):
            value, end = value * scale, end + 1
        following = cardinal(_at(items, end))
        if following is not None and following < 10 and len(_run(items, end)[0]) > 1:
            following = None
        last = _fold(items[end - 1].low)
        if following and following < scale and last.endswith(name) and value % scale == 0:
            value, end = value + following, end + 1
    return value, end


def _run(items: list[Item], start: int) -> tuple[str, int]:
    """Consecutive single digits."""
    text, end = "", start
    while True:
        value = cardinal(_at(items, end))
        if value is None or value > 9:
            if _at(items, end) in ("doppel", "zweimal") and text and (cardinal(_at(items, end + 1)) or 10) < 10:
                text, end = text + str(cardinal(_at(items, end + 1))) * 2, end + 2
                continue
            return text, end
        text, end = text + str(value), end + 1


def _whole(items: list[Item], start: int) -> tuple[Item, int] | None:
    run, end = _run(items, start)
    if (len(run) >= 3 or (len(run) == 2 and run[0] == "0")) and _at(items, end) != "komma":
        return _make(items, start, end, Number(run, "digits"))
    found = _joined(items, start)
    if found is None:
        return None
    return _make(items, start, found[1], Number(str(found[0])))


def _decimal(items: list[Item], start: int) -> tuple[Item, int] | None:
    """ "siebenundvierzig Komma fünf", "null Komma null zwei fünf"; not in an enumeration, not after a year."""
    found = _joined(items, start)
    if found is None or _at(items, found[1]) != "komma":
        return None
    whole, end = found
    digits, after = _run(items, end + 1)
    if not digits:
        value = cardinal(_at(items, end + 1))
        if value is None or value > 999:
            return None
        digits, after = str(value), end + 2
    scheme = _scheme_tail(digits)
    if scheme:
        digits, after = digits[:-scheme], after - scheme
    enumerated = _at(items, after) == "komma" and cardinal(_at(items, after + 1)) is not None
    if enumerated or (_at(items, start - 1) == "komma" and cardinal(_at(items, start - 2)) is not None):
        return None
    if 1900 <= whole <= 2099 and end == start + 1:
        return None
    return _make(items, start, after, Number(f"{whole}.{digits}", "decimal"))


def _scheme_tail(digits: str) -> int:
    """How many of the digits after "Komma" are a dose scheme: "zwei Komma fünf eins null null"."""
    if digits.startswith("0"):
        return 0
    for length in (4, 3):
        tail = digits[-length:]
        if len(digits) > length and tail[0] in "0123" and "0" in tail and set(tail) <= set("0123"):
            return length if length == 3 or tail[0] != "0" else 0
    return 0


def _fraction(items: list[Item], start: int) -> tuple[Item, int] | None:
    """ "zwei Drittel", "drei Viertel", "halbe"."""
    low = _at(items, start)
    if low in ("halbe", "halben"):
        return _make(items, start, start + 1, Number("1/2", "fraction"), weak=True)
    value, part = cardinal(low), _at(items, start + 1)
    parts = ("drittel", "viertel", "fünftel", "sechstel", "achtel", "zehntel")
    clock = part == "viertel" and value != 1 and _at(items, start + 2) in ("nach", "vor")
    if value and value < 10 and part in parts and not clock:
        return _make(items, start, start + 2, Number(f"{value}/{FRACTIONS[part]}", "fraction"))
    if value and part == "und" and _at(items, start + 2) in ("einhalb",):
        return _make(items, start, start + 3, Number(f"{value} 1/2", "fraction"))
    return None
