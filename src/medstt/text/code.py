"""Letters and codes: spelled abbreviations and names, TNM, vertebral levels, letter-number codes (B12, V1-V6, HbA1c).

Knows nothing of units or sentences.
"""

from __future__ import annotations

import re

from medstt.text.context import closes, low_at, near, word_at
from medstt.text.item import Item, Number, written
from medstt.text.pack import Pack

Found = tuple[Item, int] | None
SPINE = {"c": 8, "t": 12, "th": 12, "d": 12, "l": 5, "s": 5}
LAST = {"c": 7, "t": 12, "th": 12, "d": 12, "l": 5, "s": 9}
SPINE_ORDER = "ctdls"
LEVEL = re.compile(r"^(c|th?|d|l|s)(\d{1,2})$")
WORDS_NOT_CODES = ("her", "a", "i", "an", "to", "in", "is", "it", "on", "of", "or", "at", "as")
SEGMENT = re.compile(r"^(c|th?|l)(\d{1,2})[-–](?:(c|th?|l|s)?(\d{1,2}))$")
SPINE_WORDS = ("lwk", "bwk", "hwk")
TNM_MERGED = re.compile(r"^(yp|yc|[pc])?([tnm])$")
TNM_WRITTEN = re.compile(r"^(yp|yc|[pcryua])?([tnm])([0-4x]|is)([a-d]|mi)?$")
TNM_TAIL = re.compile(r"^(pn|[glvr])$")
SPELLING = ("spelled", "spelt", "spelling", "buchstabiert", "buchstabiere", "buchstabieren")
AS_IN = {"en": (("as", "in"), ("for",), ("like",), ("as",)), "de": (("wie",),)}
NO_CODE = {"en": ("a", "i", "o", "x"), "de": ("x",)}


def read_codes(items: list[Item], pack: Pack) -> list[Item]:
    """Return the items with letters and codes joined into finished words."""
    result: list[Item] = []
    position = 0
    while position < len(items):
        found = _read(items, position, pack) if items[position].kind == "word" else None
        if found is None:
            result.append(items[position])
            position += 1
        else:
            result.append(found[0])
            position = found[1]
    return result


def _read(items: list[Item], start: int, pack: Pack) -> Found:
    low = items[start].low
    if low in pack.letters:
        return _alphabet(items, start, pack) or (_letters(items, start, pack) if len(low) == 1 else None)
    segment = SEGMENT.match(low)
    if segment:
        return _segment(items, start, segment)
    if len(low) > 3 or not low[0].isalpha():
        return None
    return _tnm(items, start) or _spine(items, start, pack) or _letters(items, start, pack)


def _segment(items: list[Item], start: int, found: re.Match[str]) -> Found:
    """ "C5-6" and "L5-S1", written by a recogniser: one segment of two neighbours."""
    upper, lower = int(found.group(2)), int(found.group(4))
    below = found.group(3) is None and lower == upper + 1
    crossing = found.group(3) not in (None, found.group(1)) and lower == 1 and upper >= 5
    if not 1 <= upper <= SPINE[found.group(1)] or not (below or crossing):
        return None
    name = _spine_name(found.group(1), upper)
    tail = _spine_name(found.group(3), lower) if found.group(3) else str(lower)
    return written([items[start]], f"{name}/{tail}", "vertebral-level"), start + 1


def _value(items: list[Item], index: int, most: int) -> int | None:
    """A plain integer up to ``most`` at ``index``."""
    number = items[index].number if index < len(items) else None
    return number.whole if number is not None and number.shape == "int" and 0 <= number.whole <= most else None


def _tnm_part(items: list[Item], start: int) -> tuple[str, int] | None:
    """One component: "p T two", "N zero", "M x", "T is", "pT1c"."""
    low = low_at(items, start)
    done = TNM_WRITTEN.match(low)
    if done:
        prefix, letter, value, suffix = (group or "" for group in done.groups())
        return f"{prefix}{letter.upper()}{value if value == 'is' else value.upper()}{suffix}", start + 1
    if low == "tis":
        return "Tis", start + 1
    prefix, place = "", start
    if low in ("p", "c", "yp", "yc", "r") and TNM_MERGED.match(low_at(items, start + 1)):
        prefix, place = low, start + 1
    elif low == "y" and low_at(items, start + 1) in ("p", "c") and TNM_MERGED.match(low_at(items, start + 2)):
        prefix, place = "y" + low_at(items, start + 1), start + 2
    merged = TNM_MERGED.match(low_at(items, place))
    if merged is None or place >= len(items) or items[place].kind != "word":
        return None
    prefix += merged.group(1) or ""
    letter, after = merged.group(2).upper(), place + 1
    value = _value(items, after, 4)
    if value is None:
        sign = word_at(items, after)
        if sign == "x" or (sign == "is" and letter == "T" and (prefix or TNM_MERGED.match(low_at(items, after + 1)))):
            return f"{prefix}{letter}{'X' if sign == 'x' else 'is'}", after + 1
        return None
    after += 1
    suffix = word_at(items, after)
    if suffix in ("a", "b", "c", "d", "mi") and (
        closes(items, after + 1) or _tnm_part(items, after + 1) or suffix != "a"
    ):
        ahead = _tnm_part(items, after)
        if ahead is None:
            return f"{prefix}{letter}{value}{suffix}", after + 1
    return f"{prefix}{letter}{value}", after


def _tnm(items: list[Item], start: int) -> Found:
    """A chain of TNM components, or one with a prefix or a suffix letter."""
    first = _tnm_part(items, start)
    if first is None:
        return None
    parts, end = [first[0]], first[1]
    while (found := _tnm_part(items, end)) is not None and len(parts) < 4:
        parts.append(found[0])
        end = found[1]
    if len(parts) == 1 and ((parts[0][0].isupper() and not parts[0][-1].isalpha()) or parts[0] == items[start].text):
        return None
    if len(parts) == 1 and (end == start + 1 or parts[0][0] == "c"):
        return None
    while len(parts) > 1 and TNM_TAIL.match(low_at(items, end)) and (value := _value(items, end + 1, 4)) is not None:
        low = items[end].low
        parts.append(f"{'Pn' if low == 'pn' else low.upper()}{value}")
        end += 2
    return written(items[start:end], " ".join(parts), "tnm"), end


def _level(items: list[Item], index: int) -> tuple[str, int, int] | None:
    """One vertebral level at ``index``: its letter, its number, the index after it."""
    if index >= len(items) or items[index].kind != "word":
        return None
    ready = LEVEL.match(items[index].low)
    if ready and 1 <= int(ready.group(2)) <= SPINE[ready.group(1)]:
        return ready.group(1), int(ready.group(2)), index + 1
    limit = SPINE.get(items[index].low)
    value = _value(items, index + 1, limit) if limit else None
    return (items[index].low, value, index + 2) if value else None


def _spine(items: list[Item], start: int, pack: Pack) -> Found:
    """ "L five S one" -> "L5/S1", "C five six" -> "C5/6", "L four to S one" -> "L4-S1"."""
    if items[start].low in SPINE_WORDS:
        return _numbered(items, start, pack)
    if word_at(items, start - 1) in ("vitamin", "hepatitis"):
        return None
    first = _level(items, start)
    if first is None:
        return _pair_level(items, start)
    letter, value, end = first
    name = _spine_name(letter, value)
    sign, place = _joint(items, start, end, pack)
    second = _level(items, place)
    if second and _below(first, second) and (sign or _may_touch(first, second)):
        join = "/" if not sign or (first[0] != second[0] and _may_touch(first, second)) else sign
        text = f"{name}{join}{_spine_name(second[0], second[1])}"
        return written(items[start : second[2]], text, "vertebral-level"), second[2]
    number = _value(items, place, SPINE[letter])
    if (
        number
        and (number == value + 1 or (sign == "-" and number > value))
        and end == start + 2
        and not _unit_after(items, place + 1, pack)
    ):
        join = "/" if not sign or number == value + 1 else sign
        return written(items[start : place + 1], f"{name}{join}{number}", "vertebral-level"), place + 1
    if end == start + 1 and not (second and sign):
        return None
    return written(items[start:end], name, "code"), end


def _pair_level(items: list[Item], start: int) -> Found:
    """ "T eleven twelve": heard as a pair of numbers."""
    limit = SPINE.get(items[start].low)
    number = items[start + 1].number if start + 1 < len(items) else None
    if (
        limit is None
        or number is None
        or number.pair is None
        or number.pair[1] != number.pair[0] + 1
        or number.pair[1] > limit
    ):
        return None
    return written(
        items[start : start + 2], f"{_spine_name(items[start].low, number.pair[0])}/{number.pair[1]}", "vertebral-level"
    ), start + 2


def _spine_name(letter: str, value: int) -> str:
    return f"{'Th' if letter == 'th' else letter.upper()}{value}"


def _joint(items: list[Item], start: int, index: int, pack: Pack) -> tuple[str, int]:
    """The sign between two levels and the index after it; nothing where they touch."""
    low = low_at(items, index)
    if low in ("/", "slash"):
        return "/", index + 1
    if low in ("-", "–") or (
        low in pack.sets["range"] and word_at(items, start - 1) not in pack.sets["range_not_after"]
    ):
        return "-", index + 1
    return "", index


def _below(first: tuple[str, int, int], second: tuple[str, int, int]) -> bool:
    """Tell whether the second level lies below the first."""
    order = (SPINE_ORDER.index(first[0][0]), SPINE_ORDER.index(second[0][0]))
    return order[0] < order[1] or (order[0] == order[1] and first[1] < second[1])


def _may_touch(first: tuple[str, int, int], second: tuple[str, int, int]) -> bool:
    """Tell whether two levels side by side are one segment: neighbours, but neither heart sounds nor MRI weightings."""
    if first[0] == second[0]:
        return second[1] == first[1] + 1 and not (first[0] in ("s", "t") and first[1] == 1)
    return second[1] == 1 and first[1] >= LAST[first[0]]


def _unit_after(items: list[Item], index: int, pack: Pack) -> bool:
    return pack.units.match(items, index) is not None


def _numbered(items: list[Item], start: int, pack: Pack) -> Found:
    """ "HWK fünf sechs" -> "HWK 5/6"."""
    low = items[start].low
    first, second = _value(items, start + 1, 12), _value(items, start + 2, 12)
    if first and second and second == first + 1:
        return written(items[start : start + 3], f"{low.upper()} {first}/{second}", "vertebral-level"), start + 3
    return None


def _as_in(items: list[Item], index: int, letter: str, pack: Pack) -> int:
    """The index after "as in Mike", where the word begins with the letter; else ``index``."""
    for phrase in AS_IN[pack.language]:
        end = index + len(phrase)
        if (
            all(word_at(items, index + k) == word for k, word in enumerate(phrase))
            and word_at(items, end)[:1] == letter
        ):
            return end + 1
    return index


def _letters(items: list[Item], start: int, pack: Pack) -> Found:
    """Single letters in a row, and one letter with its number."""
    letters, end, explained = "", start, False
    while end < len(items) and items[end].kind == "word" and len(items[end].low) == 1 and items[end].low.isalpha():
        letters += items[end].low
        after = _as_in(items, end + 1, items[end].low, pack)
        explained = explained or after > end + 1
        end = after
    if not letters:
        return _short(items, start, pack)
    if start and items[start - 1].kind == "num" and not items[start - 1].weak and _unit_after(items, start, pack):
        return None
    if items[start].low == "x" and low_at(items, start + 1) in ("ray", "rays"):
        return written(items[start : start + 2], f"x-{items[start + 1].low}", "letters"), start + 2
    whole = _with_number(letters, items, end, pack)
    if whole:
        return written(items[start : whole[1]], whole[0], "code"), whole[1]
    if len(letters) == 1:
        return _letter_number(items, start, pack)
    if (
        not explained
        and pack.language == "en"
        and (letters[0] in "ai" or letters[-1] == "a")
        and letters not in pack.case
    ):
        return _english_letters(items, start, letters, end, pack)
    return written(items[start:end], spelled(letters, items, start, pack), "letters"), end


def spelled(letters: str, items: list[Item], start: int, pack: Pack) -> str:
    """Write spelled letters: an abbreviation in its own case, a name after "spelled" with one capital."""
    if letters in pack.case:
        return pack.case[letters]
    named = near(items, start, SPELLING, 3)
    return letters.capitalize() if named and len(letters) > 2 else letters.upper()


def _english_letters(items: list[Item], start: int, letters: str, end: int, pack: Pack) -> Found:
    """Letters that begin or end with "a" or begin with "i": perhaps an article or the pronoun."""
    if letters[0] in "ai" and letters[1:] in pack.case:
        return None
    if letters[-1] == "a" and letters[:-1] in pack.case:
        return written(items[start : end - 1], pack.case[letters[:-1]], "letters"), end - 1
    if len(letters) == 2:
        return None
    return written(items[start:end], spelled(letters, items, start, pack), "letters"), end


def _with_number(letters: str, items: list[Item], end: int, pack: Pack) -> tuple[str, int] | None:
    """A known code of letters and a number: "f e v one", "h b a one c", "p c o two"."""
    number = items[end].number if end < len(items) else None
    if number is None or number.whole < 0:
        return None
    joined = f"{letters}{number.whole}"
    tail = word_at(items, end + 1)
    if len(tail) == 1 and joined + tail in pack.case:
        return pack.case[joined + tail], end + 2
    return (pack.case[joined], end + 1) if joined in pack.case else None


def _short(items: list[Item], start: int, pack: Pack) -> Found:
    """ "hba one c", "fev one": an abbreviation already joined, with its number apart."""
    if items[start].low in WORDS_NOT_CODES:
        return None
    letters, place = items[start].low, start + 1
    found = _with_number(letters, items, place, pack)
    while found is None and len(word_at(items, place)) == 1 and place < start + 3:
        letters, place = letters + items[place].low, place + 1
        found = _with_number(letters, items, place, pack)
    return (written(items[start : found[1]], found[0], "code"), found[1]) if found else None


def _letter_number(items: list[Item], start: int, pack: Pack) -> Found:
    """One letter and a small number: "B twelve" -> "B12"; "G two P one" -> "G2P1"."""
    low = items[start].low
    value = _value(items, start + 1, 99)
    if value is None or low in NO_CODE[pack.language] or _unit_after(items, start + 2, pack):
        return _single(items, start, pack)
    if start and items[start - 1].kind == "num" and not items[start - 1].weak and _unit_after(items, start, pack):
        return None
    if low == "q":
        return None
    name, end = f"{low.upper()}{value}", start + 2
    while (
        len(word_at(items, end)) == 1
        and items[end].low in ("p", "n", "a", "l", "t")
        and low in ("g", "h", "t", "p")
        and (following := _value(items, end + 1, 20)) is not None
    ):
        name, end = f"{name}{items[end].low.upper()}{following}", end + 2
    if word_at(items, end) in pack.sets["range"] and word_at(items, end + 1) == low:
        last = _value(items, end + 2, 99)
        if last is not None and last > value and word_at(items, start - 1) not in pack.sets["range_not_after"]:
            return written(items[start : end + 3], f"{name}-{low.upper()}{last}", "code"), end + 3
    return written(items[start:end], name, "code"), end


def _single(items: list[Item], start: int, pack: Pack) -> Found:
    """A letter on its own is a capital ("hepatitis b" -> "hepatitis B"), but not "a", "x" or an abbreviation."""
    item = items[start]
    if item.low in ("a", "x", "q", "o", "u") or not item.text.islower() or low_at(items, start + 1) == ".":
        return None
    if item.low == "m" and low_at(items, start - 1) in ("a", "p"):
        return None
    return written([item], item.text.upper(), "letters"), start + 1


def _alphabet(items: list[Item], start: int, pack: Pack) -> Found:
    """NATO or DIN 5009 words in a row: three, or two after "spelled"."""
    letters, end = "", start
    while end < len(items) and items[end].kind == "word" and items[end].low in pack.letters:
        letters += pack.letters[items[end].low]
        end += 1
    count = end - start
    if count < (2 if near(items, start, SPELLING, 3) else 3):
        return None
    return written(items[start:end], spelled(letters, items, start, pack), "spelled"), end


def is_text_number(item: Item) -> bool:
    """Tell whether the item is a number that came already written as a code ("120/80", "4-6")."""
    return item.number is not None and item.number.shape == "text"


def make_text(value: str) -> Number:
    """Wrap finished text as a number part."""
    return Number(value, "text")
