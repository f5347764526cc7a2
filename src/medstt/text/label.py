"""Numbers after a label: Roman where medicine wants it (NYHA III, stage IIIB, Factor VIII), digits elsewhere.

Knows nothing of units.
"""

from __future__ import annotations

import re
from dataclasses import replace

from medstt.text.context import closes, low_at, word_at, words_after, words_before
from medstt.text.item import Item, Number, compound, join_words, written
from medstt.text.pack import Pack

Found = tuple[list[Item], int] | None
ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII")
AND = {"en": ("and", "or", "to", "through", ",", "&"), "de": ("und", "oder", "bis", ",")}
STAGE_WINDOW = 14
STAGE_PAGE = 60
ARABIC_STEMS = ("niereninsuff", "nierenerkr", "nierenkrank")
ROMAN_STEMS = ("karzinom", "carcinom", "carcinoma", "lymphom", "melanom", "sarkom", "sarcoma", "krebs")
STAGED = re.compile(r"^([1-4])([a-d])$")


def read_labels(items: list[Item], pack: Pack) -> list[Item]:
    """Return the items with labelled numbers in the form the label wants."""
    result: list[Item] = []
    position = 0
    while position < len(items):
        item = items[position]
        found = _read(items, position, pack) if item.kind == "num" else None
        if item.kind == "word" and (staged := STAGED.match(item.low)):
            found = _staged(items, position, staged.group(1), staged.group(2), pack)
        if found is None:
            result.append(items[position])
            position += 1
        else:
            if found[0][0].rule == "factor-compound":
                result.pop()
            result += found[0]
            position = found[1]
    return result


def roman_text(item: Item, most: int) -> str:
    """Write an item's numbers in Roman numerals, signs kept; nothing where one of them does not fit."""
    text = ""
    for part in item.parts:
        if isinstance(part, str):
            text += part
        elif 1 <= part.whole <= most and part.shape == "int":
            text += ROMAN[part.whole]
        else:
            return ""
    return text


def _read(items: list[Item], start: int, pack: Pack) -> Found:
    before = word_at(items, start - 1)
    if not before:
        return None
    if before in pack.sets["factor"] and word_at(items, start - 2) not in pack.sets["factor_not_after"]:
        return _factor(items, start, pack)
    if pack.roman.match_before(items, start, 6):
        return _roman_list(items, start, pack)
    if pack.stage.match_before(items, start, 3):
        return _stage(items, start, pack)
    if before in pack.sets["digit"]:
        return _labelled(items, start, pack)
    return None


def _suffix(items: list[Item], index: int) -> str:
    """The letter of "three b", where it is one: not the article, not the start of a code."""
    low = word_at(items, index)
    if low not in ("a", "b", "c", "d"):
        return ""
    if (
        low == "a"
        and not closes(items, index + 1)
        and word_at(items, index + 1)
        not in (
            "and",
            "with",
            "und",
            "mit",
            "nach",
            "bei",
            "disease",
            "adenocarcinoma",
            "cancer",
            "carcinoma",
            "melanoma",
        )
    ):
        return ""
    return low


def _factor(items: list[Item], start: int, pack: Pack) -> Found:
    text = roman_text(items[start], 13)
    if not text or pack.units.match(items, start + 1):
        return None
    following = items[start + 1] if start + 1 < len(items) else None
    if (
        pack.language == "de"
        and following is not None
        and following.low in ("mangel", "aktivität", "konzentrat", "hemmer", "leiden", "mutation")
    ):
        used = items[start - 1 : start + 2]
        joined = f"Faktor-{text}-{following.text[:1].upper()}{following.text[1:]}"
        return [replace(written(used, joined, "factor"), rule="factor-compound")], start + 2
    name = Item(
        "word", items[start - 1].text.capitalize(), items[start - 1].low, items[start - 1].words, "factor-compound"
    )
    return [name, replace(written([items[start]], text, "roman"))], start + 1


def _roman_list(items: list[Item], start: int, pack: Pack) -> Found:
    """One number or a list of them: "cranial nerves two through twelve", "leads two, three and a V F"."""
    label = word_at(items, start - 1)
    text = roman_text(items[start], 12 if label in ("nerve", "nerves", "cn", "hirnnerv", "hirnnerven", "hn") else 6)
    if not text or pack.units.match(items, start + 1):
        return None
    end, made = start + 1, []
    suffix = _suffix(items, end) if label not in ("nyha", "nerve", "nerves") else ""
    if suffix and text in ROMAN:
        return [written(items[start : end + 1], text + suffix, "roman")], end + 1
    made.append(written([items[start]], text, "roman"))
    while (
        label in ("leads", "ableitungen")
        and end < len(items)
        and items[end].kind == "num"
        and roman_text(items[end], 3)
    ):
        made.append(written([items[end]], roman_text(items[end], 3), "roman"))
        end += 1
    while low_at(items, end) in AND[pack.language] and end + 1 < len(items) and items[end + 1].kind == "num":
        more = roman_text(items[end + 1], 12)
        if not more or pack.units.match(items, end + 2) or word_at(items, end + 2) in pack.sets["time"]:
            break
        if low_at(items, end) in ("through", "to", "bis"):
            joined = written([*items[start:end], items[end + 1]], f"{made[-1].text}-{more}", "roman")
            made = (
                [replace(joined, words=join_words([made[-1], *items[end : end + 2]]))]
                if len(made) == 1
                else [*made[:-1], joined]
            )
        else:
            made += [items[end], written([items[end + 1]], more, "roman")]
        end += 2
    return made, end


def _stage(items: list[Item], start: int, pack: Pack) -> Found:
    """Roman for cancer stages, Arabic for kidneys, ulcers, lungs; a letter joins either."""
    roman = _speaks_of_cancer(items, start, pack)
    suffix = _suffix(items, start + 1)
    if roman and word_at(items, start + 1) == "a":
        suffix = "a"
    end = start + 1 + bool(suffix)
    text = roman_text(items[start], 4)
    if roman and text:
        vascular = any(word in ("pavk", "avk", "fontaine") for word in words_before(items, start, STAGE_WINDOW))
        return [written(items[start:end], text + (suffix if vascular else suffix.upper()), "roman")], end
    number = items[start].number
    if suffix and number is not None and number.whole > 0:
        return [written(items[start:end], f"{number.whole}{suffix}", "stage")], end
    return [replace(items[start], weak=False)], start + 1


def _staged(items: list[Item], start: int, value: str, letter: str, pack: Pack) -> Found:
    """ "stage 3B" as it came from a recogniser: the same result as when spoken."""
    if not pack.stage.match_before(items, start, 3):
        return None
    roman = _speaks_of_cancer(items, start, pack)
    text = ROMAN[int(value)] + letter.upper() if roman else value + letter
    return (
        ([written([items[start]], text, "roman" if roman else "stage")], start + 1)
        if text != items[start].text
        else None
    )


def _speaks_of_cancer(items: list[Item], start: int, pack: Pack) -> bool:
    """Decide by the nearest telling word of the sentence, after it first; else of the text before."""
    sentence = words_after(items, start, 5) + words_before(items, start, STAGE_WINDOW)
    sentence += words_after(items, start + 5, STAGE_WINDOW - 5)
    before = [items[place].low for place in range(start - 1, max(-1, start - STAGE_PAGE), -1)]
    for word in (*sentence, *before):
        if word in pack.sets["stage_arabic"] or any(stem in word for stem in ARABIC_STEMS):
            return False
        if word in pack.sets["stage_roman"] or any(stem in word for stem in ROMAN_STEMS):
            return True
    return False


def _labelled(items: list[Item], start: int, pack: Pack) -> Found:
    """ "grade three b" -> "3b"; "type one" -> "type 1"."""
    number = items[start].number
    suffix = _suffix(items, start + 1)
    if number is not None and number.shape == "int" and suffix and number.whole < 13:
        joined = compound(items[start : start + 2], (Number(f"{number.whole}{suffix}", "text"),), "label")
        return [joined], start + 2
    return [replace(items[start], weak=False)], start + 1
