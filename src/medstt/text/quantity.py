"""Units after numbers, counts, frequencies, ages, ordinals; and which number words stay words.

Owns the last decision on "one", "eine", "second", "three times daily". Knows nothing of layout.
"""

from __future__ import annotations

import re
from dataclasses import replace

from medstt.text.context import closes, low_at, near, word_at
from medstt.text.date import english_ordinal
from medstt.text.german import cardinal
from medstt.text.item import Item, Number, Part, as_word, compound, join_words, written
from medstt.text.label import ROMAN
from medstt.text.pack import Pack, Unit
from medstt.text.style import Style

DECIMAL = {"1/2": ".5", "1/4": ".25", "3/4": ".75"}
AGED = re.compile(r"^(.{3,40}?)((?:jährig|prozentig)\w*)$")
FACTOR = re.compile(r"^faktor-([^-]{2,12})-(.+)$")
ENGLISH_SMALL = "zero one two three four five six seven eight nine ten eleven twelve".split()
GERMAN_SMALL = "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf".split()
TIME_NOUNS = ("seconds", "minutes", "hours", "days", "weeks", "months", "years")
WORD_PER = ("day", "dose", "week", "tag", "woche", "month", "monat")


def read_quantities(items: list[Item], pack: Pack, style: Style) -> list[Item]:
    """Return the items with units written and every undecided number word settled."""
    result: list[Item] = []
    position = 0
    while position < len(items):
        made, position = _read(items, position, pack, style, result)
        result += made
    return result


def _read(items: list[Item], start: int, pack: Pack, style: Style, done: list[Item]) -> tuple[list[Item], int]:
    item = items[start]
    if item.kind == "num":
        if pack.language == "en" and (split := _split_pair(items, start, pack)):
            pair = _with_unit([*split, *items[start + 1 : start + 4]], 1, pack, style)
            if pair:
                return [split[0], *pair[0]], start + pair[1] - 1
        return (
            _frequency(items, start, pack)
            or _old(items, start)
            or _with_unit(items, start, pack, style)
            or _settle(items, start, pack)
        )
    if item.kind == "ord":
        return _rank(items, start, pack)
    if item.kind == "word":
        found = _half(items, start, pack) or _every(items, start, pack) or _safe_word(items, start, pack, style)
        if found:
            return found
        if pack.language == "de" and (aged := _aged(item)):
            return [aged], start + 1
    return [item], start + 1


def _unit(items: list[Item], start: int, pack: Pack, style: Style) -> tuple[str, str, int] | None:
    """The unit at ``start`` with its "per" chain: text, kind and the index after it."""
    found = pack.units.match(items, start)
    unit: Unit | None = None
    end = start
    if found:
        unit, end = found
        if unit.text in ("D", "m", "G", "T") and items[start].text.islower() is False and len(items[start].text) == 1:
            return None
    text, kind = (unit.text, unit.kind) if unit else ("", "measure")
    if unit and unit.text in ("µg", "mcg"):
        text = style.microgram
    chain: list[str] = []
    place = end
    while low_at(items, place) in ("per", "pro", "/", "je"):
        under = _under(items, place + 1, pack)
        if under is None:
            break
        chain.append(under[0])
        place = under[1]
    if unit is None:
        counts = ("min", "h", "HPF", "LPF", "Gesichtsfeld", "µL", "µl", "L", "l", "mL", "ml", "mm³")
        return ("/" + "/".join(chain), "rate", place) if chain and chain[0] in counts and chain[0] != "h" else None
    if len(chain) == 1 and items[place - 1].low in WORD_PER:
        return text, kind, end
    if chain and chain[0] in ("L", "l", "mL", "ml", "dL", "dl", "µL", "µl", "mmol", "mol", "g"):
        kind = "measure"
        text = {"units": "U", "unit": "U", "Einheiten": "U", "Einheit": "U"}.get(text, text)
    return "/".join([text, *chain]), kind, place if chain else end


def _under(items: list[Item], start: int, pack: Pack) -> tuple[str, int] | None:
    """What stands under the line: "deciliter", "1.73 square meters", "24 hours"."""
    if start < len(items) and items[start].kind == "num" and items[start].number is not None:
        number = items[start].number
        unit = pack.units.match(items, start + 1)
        if unit and number is not None and unit[0].text == "m²":
            value = number.value if pack.language == "en" else number.value.replace(".", ",")
            return f"{value} m²", unit[1]
        if unit and unit[0].text in ("mL", "ml", "L", "l") and number is not None and number.shape == "int":
            return f"{number.value} {unit[0].text}", unit[1]
        hours = ("hours", "hour", "stunden")
        if number is not None and word_at(items, start + 1) in hours and number.whole > 0:
            return f"{number.whole} h", start + 2
        return None
    return pack.per.match(items, start)


def _with_unit(items: list[Item], start: int, pack: Pack, style: Style) -> tuple[list[Item], int] | None:
    """A number and its unit; safe-writing rules for doses are applied here and named in the rule."""
    number = items[start]
    found = _unit(items, start + 1, pack, style)
    if found is None:
        return None
    text, kind, end = found
    if number.weak and number.low in ("einer", "eines", "einem") and text.startswith(("Einheit", "Million")):
        return None
    number = _grouped(replace(number, weak=False))
    if kind != "rate":
        number = _metric(number)
    if kind == "dose" and style.drop_trailing_zero:
        number = _without_trailing_zero(number)
    unit_rule = "unit"
    if style.safe_units and items[start + 1].low in ("iu", "u", "cc", "ccs", "µg", "μg", "ie", "i.e."):
        unit_rule = "unit+safe-abbreviation"
    elif not style.safe_units and items[start + 1].low in ("iu", "cc"):
        text = items[start + 1].text
    tight = kind == "rate" or (text == "%" and pack.language == "en")
    word = Item("unit", text, text.lower(), join_words(items[start + 1 : end]), unit_rule, glue="l" if tight else "")
    if again := _second_size(items, end, number, text, pack):
        return again
    return [number, word], end


def _second_size(items: list[Item], end: int, first: Item, text: str, pack: Pack) -> tuple[list[Item], int] | None:
    """ "three centimeters by four centimeters" keeps both units: "3 cm x 4 cm"."""
    if word_at(items, end) not in pack.sets["times"] or end + 1 >= len(items) or items[end + 1].kind != "num":
        return None
    unit = pack.units.match(items, end + 2)
    if unit is None or unit[0].text != text:
        return None
    return [
        first,
        Item("unit", text, text.lower(), items[end - 1].words, "unit"),
        Item("word", "x", "x", items[end].words, "size"),
    ], end + 1


def _is_value(items: list[Item], start: int, pack: Pack) -> bool:
    """Tell a long number that measures something from a record number or a postal code before its town."""
    if near(items, start, pack.sets["digits_context"], 5) or not items[start].text.isdigit():
        return False
    following = items[start + 1] if start + 1 < len(items) else None
    return (
        5 <= len(items[start].text) <= 6
        and bool(word_at(items, start - 1))
        and (following is None or following.kind != "word" or following.text[:1].islower())
    )


def _grouped(item: Item) -> Item:
    """Let a long number that came in digits be grouped like a spoken one, now that a unit follows."""
    number = item.number
    if number is None or number.shape != "digits" or len(number.value) < 5 or number.value[0] == "0":
        return item
    return replace(item, parts=(replace(number, shape="int"),))


def _metric(item: Item) -> Item:
    """Write halves and quarters before a metric unit as decimals: "2 1/2 mg" -> "2.5 mg"."""
    number = item.number
    if number is None or number.shape != "fraction":
        return item
    whole, _, part = number.value.rpartition(" ")
    if part not in DECIMAL:
        return item
    return replace(
        item, parts=(Number((whole or "0") + DECIMAL[part], "decimal", number.sign),), rule=item.rule + "+decimal"
    )


def _without_trailing_zero(item: Item) -> Item:
    parts: list[Part] = []
    for part in item.parts:
        if isinstance(part, Number) and part.shape == "decimal" and part.value.endswith("0"):
            value = part.value.rstrip("0").rstrip(".")
            parts.append(replace(part, value=value, shape="decimal" if "." in value else "int"))
        else:
            parts.append(part)
    changed = tuple(parts)
    return item if changed == item.parts else replace(item, parts=changed, rule=item.rule + "+trailing-zero")


def _frequency(items: list[Item], start: int, pack: Pack) -> tuple[list[Item], int] | None:
    """ "three times daily" stays in words, in whatever way it came; "drei mal täglich" becomes one word."""
    number = items[start].number
    if number is None or number.shape != "int" or not 0 < number.whole <= 12:
        return None
    if word_at(items, start + 1) not in pack.sets["frequency_word"]:
        return None
    if not pack.frequency.match(items, start + 2):
        if pack.language == "de" and not (start + 2 < len(items) and items[start + 2].kind == "num"):
            return [written(items[start : start + 2], GERMAN_SMALL[number.whole] + "mal", "frequency")], start + 2
        return None
    if pack.language == "de":
        name = GERMAN_SMALL[number.whole] + "mal"
        return [written(items[start : start + 2], name, "frequency")], start + 2
    name = ENGLISH_SMALL[number.whole]
    rule = "verbatim" if items[start].low == name else "frequency"
    return [Item("word", name, name, items[start].words, rule), items[start + 1]], start + 2


def _old(items: list[Item], start: int) -> tuple[list[Item], int] | None:
    """ "sixty five year old" -> "65-year-old"."""
    number = items[start].number
    if number is None or number.shape not in ("int", "pair", "text", "decimal"):
        return None
    span = word_at(items, start + 1)
    if span in ("year", "month", "week", "day") and word_at(items, start + 2) in ("old", "olds"):
        end = start + 3
        text = f"-{span}-{items[start + 2].text}"
    elif span in ("year-old", "month-old", "week-old", "day-old"):
        end, text = start + 2, f"-{span}"
    elif span.startswith(("jährig", "prozentig")):
        end, text = start + 2, f"-{items[start + 1].text}"
    else:
        return None
    return [compound(items[start:end], (number, text), "age")], end


def _aged(item: Item) -> Item | None:
    """ "fünfundsechzigjährige" -> "65-jährige"."""
    factor = FACTOR.match(item.low)
    rank = cardinal(factor.group(1)) if factor else None
    if factor and rank is not None and 1 <= rank <= 13:
        text = f"Faktor-{ROMAN[rank]}-{item.text[factor.start(2) :]}"
        return Item("word", text, text.lower(), item.words, "roman")
    found = AGED.match(item.low)
    value = cardinal(found.group(1)) if found else None
    if value is None or found is None or not 0 < value < 130:
        return None
    ending = item.text[len(found.group(1)) :]
    return Item("word", f"{value}-{ending}", f"{value}-{ending}".lower(), item.words, "age")


def _first_of_range(items: list[Item], start: int, pack: Pack) -> bool:
    """ "zweite bis vierte Rippe", "vom ersten bis dritten März": the first rank is written like the second."""
    if low_at(items, start + 1) not in ("bis", "und", "oder") or start + 2 >= len(items):
        return False
    second = items[start + 2]
    return second.rule == "date" or (second.kind == "ord" and low_at(items, start + 3) in pack.sets["ordinal_nouns"])


def _half(items: list[Item], start: int, pack: Pack) -> tuple[list[Item], int] | None:
    """ "half a tablet", "a half tablet" -> "1/2 tablet"."""
    if pack.language != "en":
        return None
    place = start + (items[start].low == "a")
    if word_at(items, place) != "half":
        return None
    noun = place + 1 + (word_at(items, place + 1) in ("a", "of"))
    if word_at(items, noun) == "a":
        noun += 1
    if word_at(items, noun) not in pack.sets["half"]:
        unit = pack.units.match(items, noun)
        if unit is None or unit[0].kind != "dose" or noun == place + 1:
            return None
        return [compound(items[start:noun], (Number("0.5", "decimal"),), "fraction")], noun
    return [compound(items[start:noun], (Number("1/2", "fraction"),), "fraction")], noun


def _every(items: list[Item], start: int, pack: Pack) -> tuple[list[Item], int] | None:
    """ "q eight hours" -> "q8h"; "q four to six hours" -> "q4-6h"."""
    if pack.language != "en" or items[start].low != "q" or start + 1 >= len(items) or items[start + 1].kind != "num":
        return None
    end = start + 2
    if word_at(items, end) not in ("hours", "hour", "h", "hrs"):
        return None
    return [compound(items[start : end + 1], ("q", *items[start + 1].parts, "h"), "frequency")], end + 1


def _safe_word(items: list[Item], start: int, pack: Pack, style: Style) -> tuple[list[Item], int] | None:
    """Abbreviations that must not be written: q.d. -> daily, q.o.d. -> every other day."""
    if not style.safe_units or pack.language != "en":
        return None
    for phrase, text in (
        (("q", "o", "d"), "every other day"),
        (("q", "d"), "daily"),
        (("qd",), "daily"),
        (("q.d.",), "daily"),
        (("qod",), "every other day"),
        (("q.o.d.",), "every other day"),
        (("q", "day"), "daily"),
    ):
        end = start + len(phrase)
        if all(word_at(items, start + k) == word for k, word in enumerate(phrase)):
            return [written(items[start:end], text, "safe-abbreviation")], end
    return None


def _settle(items: list[Item], start: int, pack: Pack) -> tuple[list[Item], int]:
    """Decide whether an undecided number word ("one", "eine", "halbe") is a number."""
    item = items[start]
    number = item.number
    after = word_at(items, start + 1)
    if pack.language == "de" and (low_at(items, start - 1) == "halb" or _after_quarter(items, start)):
        return [as_word(item)], start + 1
    if number is not None and number.value == "1/2" and after == "of" and not number.sign:
        return [as_word(item)], start + 1
    if number is not None and number.shape == "digits" and _is_value(items, start, pack):
        return [_grouped(item)], start + 1
    if not item.weak or number is None:
        if pack.language == "en" and number is not None and number.whole == 2 and _pronoun(items, start):
            return [as_word(item)], start + 1
        return [item], start + 1
    if number.shape == "fraction":
        numeric = after in pack.sets["half"]
    elif pack.language == "en":
        numeric = (
            after in pack.sets["one"]
            or after == "o'clock"
            or _alternative(items, start)
            or _labelled_before(items, start)
        )
        numeric = numeric and word_at(items, start - 1) not in ("this", "that", "the", "another", "any", "every", "no")
    else:
        numeric = item.low in pack.sets["one_forms"] and (
            (after in pack.sets["one"] and word_at(items, start - 1) not in ("noch", "nur", "je"))
            or _alternative(items, start)
        )
    return [replace(item, weak=False) if numeric else as_word(item)], start + 1


def _after_quarter(items: list[Item], start: int) -> bool:
    """ "Viertel nach acht"."""
    return low_at(items, start - 1) in ("nach", "vor") and low_at(items, start - 2) in (
        "viertel",
        "kurz",
        "dreiviertel",
    )


def _alternative(items: list[Item], start: int) -> bool:
    """ "one or two", "ein oder zwei", "one and five minutes"; "one." as the number of a list's entry."""
    if items[start].low in ("one", "eins") and low_at(items, start + 1) == "." and items[start + 1].origin == "command":
        return start == 0 or items[start - 1].kind in ("break", "mark")
    if start + 2 >= len(items) or items[start + 2].kind != "num" or items[start + 2].weak:
        return False
    link = word_at(items, start + 1)
    return link in ("or", "oder") or (link == "and" and word_at(items, start + 3) in TIME_NOUNS)


def _labelled_before(items: list[Item], start: int) -> bool:
    """ "two or one", "times one"."""
    return word_at(items, start - 1) in ("times",)


def _pronoun(items: list[Item], start: int) -> bool:
    """ "the two", "these two" with no noun after them."""
    if items[start].text != "two" or word_at(items, start - 1) not in ("the", "these", "those", "other"):
        return False
    verbs = ("of", "is", "are", "were", "was", "in", "have", "had")
    return closes(items, start + 1) or word_at(items, start + 1) in verbs


def _split_pair(items: list[Item], start: int, pack: Pack) -> list[Item] | None:
    """ "two twenty milligram tablets" is two tablets of 20 mg, not 220 mg: the unit's singular before a plural noun."""
    number = items[start].number
    if number is None or number.pair is None or number.pair[0] > 9:
        return None
    unit = pack.units.match(items, start + 1)
    if unit is None or word_at(items, unit[1]) not in pack.sets["solid"]:
        return None
    first = replace(items[start], parts=(Number(str(number.pair[0])),))
    return [first, replace(items[start], parts=(Number(str(number.pair[1])),))]


def _rank(items: list[Item], start: int, pack: Pack) -> tuple[list[Item], int]:
    """Ordinals: digits before ranks that charts number (5th rib, 3. postoperativer Tag), words elsewhere."""
    item = items[start]
    number = item.parts[0]
    assert isinstance(number, Number)
    if item.text[:1].isdigit():
        return [replace(item, kind="word", parts=())], start + 1
    after = word_at(items, start + 1)
    ranked = after in pack.sets["ordinal_nouns"] and low_at(items, start - 1) not in ("jeden", "jede", "jedem", "jeder")
    if pack.language == "en":
        if number.whole < 10 and after not in ("percentile", "centile"):
            return [as_word(item)], start + 1
        return [written([item], english_ordinal(number.whole), "ordinal")], start + 1
    ranked = ranked or _first_of_range(items, start, pack)
    if not ranked or (number.whole == 1 and after in ("tag", "woche", "monat", "mal")):
        return [as_word(item)], start + 1
    if after in ("hirnnerv", "hirnnerven") and number.whole <= 12:
        return [written([item], ROMAN[number.whole] + ".", "roman")], start + 1
    return [written([item], f"{number.whole}.", "ordinal")], start + 1
