"""Numbers in relation: ranges, blood pressure, scores, ratios, sizes, signs, comparisons, dose schemes, powers of ten.

Knows nothing of units' spelling; it only asks the pack whether a unit follows.
"""

from __future__ import annotations

from dataclasses import replace

from medstt.text.context import closes, low_at, near, starts_sentence, word_at, words_after
from medstt.text.item import Item, Number, Part, compound, join_words
from medstt.text.pack import Pack

Found = tuple[Item, int] | None
SUPERSCRIPT = "^"


def read_relations(items: list[Item], pack: Pack) -> list[Item]:
    """Return the items with related numbers joined into one "num" item each."""
    result: list[Item] = []
    position = 0
    while position < len(items):
        found = _at_word(items, position, pack, result) if items[position].kind == "word" else None
        if found is None and items[position].kind == "num":
            found = _at_number(items, position, pack)
        if found is None:
            result.append(items[position])
            position += 1
        else:
            result.append(found[0])
            position = found[1]
    return result


def _size(items: list[Item], index: int) -> float:
    """The value of the single number at ``index``, -1 for anything else."""
    number = items[index].number if 0 <= index < len(items) else None
    return number.size if number is not None and not number.sign else -1.0


def _is_num(items: list[Item], index: int) -> bool:
    return 0 <= index < len(items) and items[index].kind == "num"


def _at_word(items: list[Item], start: int, pack: Pack, done: list[Item]) -> Found:
    """Signs and comparisons before a number."""
    compared = pack.compare.match(items, start)
    if compared and _is_num(items, compared[1]):
        value = _at_number(items, compared[1], pack) or (items[compared[1]], compared[1] + 1)
        if not _is_comparison(items, start, compared[1], value[1], compared[0], pack):
            return None
        used = [*items[start : compared[1]], value[0]]
        return compound(used, (compared[0], *_parts(value[0])), "comparison"), value[1]
    low = items[start].low
    if _is_num(items, start + 1) and items[start + 1].number is not None:
        sign = _sign(items, start, low, pack, done)
        if sign:
            number = items[start + 1].number
            assert number is not None
            signed = replace(
                items[start + 1],
                words=join_words(items[start : start + 2]),
                parts=(replace(number, sign=sign),),
                weak=False,
            )
            rest = _at_number([*items[:0], signed, *items[start + 2 : start + 12]], 0, pack)
            if rest:
                return rest[0], start + 1 + rest[1]
            return replace(signed, rule="sign"), start + 2
    return None


def _parts(item: Item) -> tuple[Part, ...]:
    return item.parts or (item.text,)


def _sign(items: list[Item], start: int, low: str, pack: Pack, done: list[Item]) -> str:
    """The sign that a word before a number stands for, or nothing."""
    after_number = bool(done) and done[-1].kind == "num"
    if low in pack.sets["signs_minus"] and not after_number:
        return "-"
    number = items[start + 1].number
    if pack.language == "en" and low == "negative" and number is not None:
        context = word_at(items, start - 1) in pack.sets["signs_context"]
        return (
            "-" if (context or number.shape == "decimal") and word_at(items, start + 2) not in pack.sets["time"] else ""
        )
    if low in ("+", "plus") and word_at(items, start - 1) in ("station", "excess", "of", "sphere", "cylinder", "axis"):
        return "+"
    ended = closes(items, start + 2) or word_at(items, start + 2) in ("in", "on", "with", "and", "at")
    if pack.language == "en" and low == "times" and not after_number and ended:
        return "x"
    if (
        pack.language == "en"
        and low in ("times", "x")
        and not after_number
        and word_at(items, start - 1)
        in ("oriented", "and", "alert", "o", "a&o", "cultures", "negative", "stable", "intact")
    ):
        return "x"
    return ""


def _is_comparison(items: list[Item], start: int, place: int, after: int, sign: str, pack: Pack) -> bool:
    """Tell a measured limit ("CRP less than five") from prose ("less than two weeks ago")."""
    if sign in ("±", "≤", "≥", "~"):
        return True
    first = items[start].low
    single = place == start + 1
    if (
        single
        and pack.language == "de"
        and low_at(items, start - 1)
        in ("ein", "der", "dieser", "eine", "die", "einem", "den", "kein", "etwas", "deutlich", "nun", "jetzt")
    ):
        return False
    if pack.units.match(items, after):
        return first not in ("more", "mehr") or not near(items, start, ("no", "nicht", "not"), 2)
    follower = word_at(items, after)
    if follower in ("per", "pro"):
        return True
    if items[place].weak and first != "kleiner":
        return False
    prose = follower in pack.sets["time"] | pack.sets["one"] or follower in (
        "times",
        "mal",
        "of",
        "patients",
        "lesions",
        "episodes",
    )
    ends = closes(items, after) or follower in (
        "and",
        "with",
        "on",
        "in",
        "und",
        "mit",
        "bei",
        "am",
        "or",
        "oder",
        "today",
        "but",
        "consistent",
        "which",
        "bds",
        "beidseits",
        "which",
        "is",
        "ist",
        "was",
        "war",
        "at",
        "from",
    )
    return ends and not prose and first not in ("more", "mehr")


def _at_number(items: list[Item], start: int, pack: Pack) -> Found:
    """Try every relation that may begin with the number at ``start``; relations may be chained."""
    for read in (_record, _triple, _scheme, _power, _range, _over, _score, _by, _plus, _vision, _mix, _colon):
        found = read(items, start, pack)
        if found is None:
            continue
        joined = [found[0], *items[found[1] : found[1] + 14]]
        more = None
        if found[0].rule in ("range", "pressure", "size") and found[1] < len(items):
            more = _chain(joined, pack, found[0].rule)
        return (more[0], found[1] - 1 + more[1]) if more else found
    return None


def _chain(items: list[Item], pack: Pack, rule: str) -> Found:
    """Go on after a first relation: a range over a value, a second range after "over", a power of ten."""
    if rule == "range" and word_at(items, 1) in pack.sets["over"] and _is_num(items, 2):
        second = _range(items, 2, pack) or (items[2], 3)
        if _pressure_context(items, 0, pack) or pack.language == "en":
            return compound([*items[:2], second[0]], (*items[0].parts, "/", *_parts(second[0])), "pressure"), second[1]
    return _power(items, 0, pack)


def _record(items: list[Item], start: int, pack: Pack) -> Found:
    """Digits of a phone or record number, joined as dictated."""
    if not near(items, start, pack.sets["digits_context"], 5):
        return None
    end, text = start, ""
    while (
        _is_num(items, end)
        and (number := items[end].number) is not None
        and number.shape in ("int", "digits", "pair")
        and not number.sign
    ):
        if items[end].origin == "words" and items[end].text[:1].isdigit():
            break
        text, end = text + number.value, end + 1
    direct = word_at(items, start - 1) in pack.sets["digits_context"]
    if end < start + 2 or (len(text) < 4 and not direct) or pack.units.match(items, end):
        return None
    return compound(items[start:end], (Number(text, "digits"),), "record-number"), end


def _scheme(items: list[Item], start: int, pack: Pack) -> Found:
    """ "eins null eins" -> "1-0-1"; halves allowed; never where a record number is expected."""
    if near(items, start, pack.sets["digits_context"], 6):
        return None
    parts: list[str] = []
    end = start
    most = 99 if pack.language == "de" and near(items, start, ("insulin", "actrapid", "novorapid", "humalog"), 3) else 6
    while len(parts) < 5 and _is_num(items, end) and (number := items[end].number) is not None and not number.sign:
        if number.shape == "digits" and len(number.value) <= 4 and all(digit in "01234" for digit in number.value):
            parts, end = [*parts, *number.value], end + 1
            continue
        if number.shape not in ("int", "fraction") or (number.shape == "int" and not 0 <= number.whole <= most):
            break
        if items[end].text[:1].isdigit():
            return None
        parts, end = [*parts, number.value], end + 1
        if _is_dash(items, end) and _is_num(items, end + 1):
            end += 1
    united = pack.units.match(items, end)
    if (
        items[start].text[:1].isdigit()
        or (united and united[0].text != "Einheiten")
        or low_at(items, end) in ("over", "zu", "komma")
    ):
        return None
    dose = pack.units.match_before(items, start)
    dosed = (
        most > 6
        or (dose is not None and dose.kind == "dose")
        or word_at(items, start - 1) in pack.sets["half"] | pack.sets["solid"] | pack.sets["one"]
    )
    separated = end - start > len(parts)
    zero = "0" in parts
    if len(parts) not in (3, 4) or not (
        dosed or separated or (zero and (pack.language == "de" or "/" in "".join(parts)))
    ):
        return None
    if (
        parts[0] == "0"
        and not dosed
        and not separated
        and pack.language == "de"
        and len(parts) > 3
        and set(parts) == {"0"}
    ):
        return None
    return compound(items[start:end], (Number("-".join(parts), "text"),), "dose-scheme"), end


def _triple(items: list[Item], start: int, pack: Pack) -> Found:
    """Three values in a row that belong together: Apgar "9/10/10", neutral-zero joints "0-10-120"."""
    motion = (
        "beweglichkeit",
        "neutral-null",
        "neutral-null-methode",
        "ex/flex",
        "extension/flexion",
        "bewegungsausmaß",
    )
    sign = (
        "/"
        if near(items, start, ("apgar", "apgarwerte", "apgar-werte"), 3)
        else "-"
        if near(items, start, motion, 4)
        else ""
    )
    if not sign or pack.language != "de":
        return None
    values: list[str] = []
    end = start
    while len(values) < 3 and _is_num(items, end) and (number := items[end].number) is not None and number.whole >= 0:
        values += list(number.value) if number.shape == "digits" else [number.value]
        end += 1
    if len(values) != 3 or _is_num(items, end):
        return None
    return compound(items[start:end], (Number(sign.join(values), "text"),), "triple"), end


def _is_dash(items: list[Item], index: int) -> bool:
    """Tell whether a spoken stroke or minus stands at ``index``."""
    spoken = low_at(items, index) in ("-", "–") and items[index].origin == "command"
    return spoken or word_at(items, index) in ("strich", "minus", "dash", "hyphen")


def _power(items: list[Item], start: int, pack: Pack) -> Found:
    """ "times ten to the ninth", "mal zehn hoch neun" -> "x 10^9"."""
    times = ("times", "x") if pack.language == "en" else ("mal", "x")
    if word_at(items, start + 1) not in times or _size(items, start + 2) != 10:
        return None
    place, sign = start + 3, ""
    for word in ("to", "the", "power", "of", "hoch"):
        if word_at(items, place) == word:
            place += 1
    if place == start + 3:
        return None
    if word_at(items, place) in ("minus", "negative"):
        sign, place = "-", place + 1
    if place >= len(items) or items[place].kind not in ("num", "ord") or len(items[place].parts) != 1:
        return None
    power = items[place].parts[0]
    if isinstance(power, str) or not 0 < power.whole < 100:
        return None
    end = place + 1 + (word_at(items, place + 1) == "power")
    text = Number(f" x 10{SUPERSCRIPT}{sign}{power.whole}", "text")
    return compound(items[start:end], (*_parts(items[start]), text), "power"), end


def _range(items: list[Item], start: int, pack: Pack) -> Found:
    """ "four to six" -> "4-6", never after "from"; in the context of a titre or a block a ratio."""
    if word_at(items, start + 1) not in pack.sets["range"] or not _is_num(items, start + 2):
        return None
    low, high = _size(items, start), _size(items, start + 2)
    if pack.language == "en" and _is_ratio(items, start, start + 3, pack):
        return compound(
            items[start : start + 3], (*items[start].parts, ":", *items[start + 2].parts), "ratio"
        ), start + 3
    first, second = items[start].number, items[start + 2].number
    if first is None or second is None:
        return None
    bound = word_at(items, start - 1) in pack.sets["range_not_after"]
    if bound and word_at(items, start - 2) not in pack.sets["range_within"]:
        return None
    if first.shape == "fraction" or second.shape == "fraction":
        both = first.shape != "text" and second.shape != "text"
        return _joined(items, start, "-", "range") if both else None
    if low < 0 or high <= low or (second.shape == "digits" and len(second.value) > 4):
        return None
    nearby = pack.units.match(items, start + 3)
    if items[start].text[:1].isdigit() and not items[start].text[-1:].isdigit():
        return None
    after = word_at(items, start + 3)
    if items[start + 2].weak and nearby is None and after not in pack.sets["one"]:
        return None
    return _joined(items, start, "-", "range")


def _joined(items: list[Item], start: int, sign: str, rule: str) -> Found:
    used = items[start : start + 3]
    return compound(used, (*used[0].parts, sign, *used[2].parts), rule), start + 3


def _is_ratio(items: list[Item], start: int, end: int, pack: Pack) -> bool:
    if near(items, start, pack.sets["ratio_context"], 6):
        return True
    return bool(pack.sets["ratio_next"] & set(words_after(items, end, 2)))


def _pressure_context(items: list[Item], start: int, pack: Pack) -> bool:
    return near(items, start, pack.sets.get("pressure_context", frozenset(("pressure", "bp"))), 6)


def _over(items: list[Item], start: int, pack: Pack) -> Found:
    """ "one twenty over eighty" -> "120/80", "zwei über sechs", "eins zu zwei" -> "1:2"."""
    word = word_at(items, start + 1)
    if word not in pack.sets["over"] or not _is_num(items, start + 2):
        return None
    second = items[start + 2].number
    first = items[start].number
    if first is None or second is None:
        return None
    ranged = _range(items, start + 2, pack)
    a, b = _size(items, start), _size(items, start + 2)
    if pack.language == "en":
        if word_at(items, start + 3) in pack.sets["time"] or a < 0 or b < 0:
            return None
        if ranged and a > b:
            return compound(
                [*items[start : start + 2], ranged[0]], (*items[start].parts, "/", *ranged[0].parts), "pressure"
            ), ranged[1]
        return _joined(items, start, "/", "pressure")
    pressure = a > b and b >= 15 and a >= 50
    if pressure and (ranged := _range(items, start + 2, pack)) and _pressure_context(items, start, pack):
        return compound(
            [*items[start : start + 2], ranged[0]], (*items[start].parts, "/", *ranged[0].parts), "pressure"
        ), ranged[1]
    if pressure and (word == "zu" or _pressure_context(items, start, pack)):
        return _joined(items, start, "/", "pressure")
    if (
        word == "zu"
        and a >= 0
        and b >= 0
        and (word_at(items, start - 1) not in ("von", "bis") or near(items, start, pack.sets["ratio_context"], 6))
    ):
        return _joined(items, start, ":", "ratio")
    return None


def _score(items: list[Item], start: int, pack: Pack) -> Found:
    """ "seven out of ten", "vier von fünf" -> "7/10", "4/5" where a score or grade is meant."""
    place = start + 1
    spoken_out = word_at(items, place) == "out"
    place += spoken_out
    if word_at(items, place) != ("of" if pack.language == "en" else "von") or not _is_num(items, place + 1):
        return None
    a, b = _size(items, start), _size(items, place + 1)
    if a < 0 or b < a:
        return None
    scored = near(items, start, pack.sets["score_context"], 25 if b in (5, 6, 10, 15, 30) else 8)
    after = word_at(items, place + 2)
    if not scored and pack.language == "de":
        scored = after in ("punkten", "punkte") and b >= 5
    if not scored and spoken_out:
        scored = b in (5, 10, 15, 30) and (
            closes(items, place + 2)
            or after
            in (
                "in",
                "on",
                "with",
                "bilaterally",
                "and",
                "at",
                "throughout",
                "pain",
                "for",
                "strength",
                "systolic",
                "murmur",
            )
        )
    if not scored and pack.language == "en":
        scored = bool({"murmur", "strength"} & set(words_after(items, place + 2, 3)))
    if not scored:
        return None
    used = items[start : place + 2]
    return compound(used, (*items[start].parts, "/", *items[place + 1].parts), "score"), place + 2


def _by(items: list[Item], start: int, pack: Pack) -> Found:
    """ "three by four by two" -> "3 x 4 x 2"; "drei mal vier"."""
    signs = pack.sets["times"] | ({"times"} if pack.language == "en" else frozenset())
    parts: list[Part] = list(_parts(items[start]))
    end = start + 1
    while word_at(items, end) in signs and _is_num(items, end + 1) and items[end + 1].number is not None:
        if word_at(items, end) == "times" and (pack.units.match(items, end + 2) is None or _size(items, end + 1) == 10):
            break
        parts += [" x ", *items[end + 1].parts]
        end += 2
    if end == start + 1:
        return None
    return compound(items[start:end], tuple(parts), "size"), end


def _plus(items: list[Item], start: int, pack: Pack) -> Found:
    """ "three plus four equals seven" -> "3+4=7"; "two plus" -> "2+"."""
    value = _size(items, start)
    pregnancy = value < 45 and word_at(items, start + 3) in ("ssw", "schwangerschaftswochen", "weeks")
    if word_at(items, start + 1) not in ("plus", "+") or not (0 < value < 10 or pregnancy):
        return None
    if _is_num(items, start + 2):
        parts: tuple[Part, ...] = (*items[start].parts, "+", *items[start + 2].parts)
        if (
            word_at(items, start + 3) in ("equals", "is", "gleich", "ist", "=", "equal")
            or low_at(items, start + 3) == "="
        ):
            place = start + 4 + (word_at(items, start + 4) in ("to", "gleich"))
            if _is_num(items, place):
                return compound(items[start : place + 1], (*parts, "=", *items[place].parts), "sum"), place + 1
        return compound(items[start : start + 3], parts, "sum"), start + 3
    if value > 4 or pack.units.match(items, start + 2):
        return None
    return compound(items[start : start + 2], (*items[start].parts, "+"), "grade-plus"), start + 2


def _mix(items: list[Item], start: int, pack: Pack) -> Found:
    """ "insulin seventy thirty" -> "70/30": two parts of a hundred."""
    if (
        not _is_num(items, start + 1)
        or _size(items, start) + _size(items, start + 1) != 100
        or _size(items, start) < 20
    ):
        return None
    around = set(words_after(items, start + 2, 4))
    if not near(items, start, ("insulin", "mix", "humulin", "novolin"), 4) and "insulin" not in around:
        return None
    used = items[start : start + 2]
    return compound(used, (*used[0].parts, "/", *used[1].parts), "ratio"), start + 2


def _colon(items: list[Item], start: int, pack: Pack) -> Found:
    """ "eins Doppelpunkt zwei" -> "1:2"."""
    spoken = low_at(items, start + 1) == ":" and items[start + 1].origin == "command"
    if not spoken or not _is_num(items, start + 2) or items[start].number is None or items[start + 2].number is None:
        return None
    if starts_sentence(items, start):
        return None
    return _joined(items, start, ":", "ratio")


def _vision(items: list[Item], start: int, pack: Pack) -> Found:
    """ "twenty forty" as visual acuity -> "20/40"."""
    number = items[start].number
    if (
        number is None
        or number.pair is None
        or number.pair[0] != 20
        or not (near(items, start, pack.sets["vision_context"], 6) or word_at(items, start + 1) == "vision")
    ):
        return None
    return compound(
        items[start : start + 1], (Number(f"{number.pair[0]}/{number.pair[1]}", "text"),), "vision"
    ), start + 1
