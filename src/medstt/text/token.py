"""Words of a recogniser -> items: punctuation split off, written numbers and glued units recognised, lines kept.

Knows nothing of commands, nor of numbers spoken as words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from medstt.text.item import Item, Number, Part
from medstt.text.pack import Pack

CHUNK = re.compile(r"\n[\s]*|[^\s]+")
WORD_WITH_LINES = re.compile(r"(?:[^\S\n]*\n)*[^\S\n]*\S+|(?:[^\S\n]*\n)+")
LEADING = re.compile(r"^[(\[\"“”„»«]+")
TRAILING = re.compile(r"[.,;:!?)\]\"“”»«]+$")
DOTTED = re.compile(r"^(?:[^\W\d_]{1,4}\.){2,}$")
PLAIN = {
    "en": re.compile(r"^\d{1,3}(?:,\d{3})+(?:\.\d+)?$|^\d+(?:\.\d+)?$|^\.\d+$"),
    "de": re.compile(r"^[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?$|^\d+(?:,\d+)?$|^,\d+$"),
}
OPAQUE = re.compile(r"^[<>≤≥]?-?\d+(?:[.,]\d+)*(?:[-–/:x]\d+(?:[.,]\d+)*)+$")
GLUED = re.compile(
    r"^([<>≤≥±+-]?[\d.,]*\d(?:[-/]\d[\d.,]*)?)(%|mg|mcg|µg|μg|g|kg|ml|mL|l|L|cm|mm|m|mmol|mmHg|°C|°F|IU|IE)$"
)
HYPHENED = re.compile(r"^(\d+(?:\.\d+)?)-([a-zA-Z]+)$")
HYPHEN_UNITS = (
    "millimeter",
    "centimeter",
    "milligram",
    "microgram",
    "milliliter",
    "liter",
    "gram",
    "mm",
    "cm",
    "mg",
    "ml",
    "mcg",
)
SIGNED = re.compile(r"^([<>≤≥±+-])(.+)$")
ORDINAL = re.compile(r"^\d+(?:st|nd|rd|th)$")
GLUE = {"(": "r", ")": "l", "[": "r", "]": "l"}


def tokenise(words: Iterable[str], pack: Pack) -> list[Item]:
    """Return the items of ``words``; every item carries the index of its word. Line breaks inside a word are kept."""
    items: list[Item] = []
    for index, word in enumerate(words):
        for chunk in CHUNK.findall(word):
            if chunk[0] == "\n":
                if items and items[-1].kind != "break":
                    items.append(Item("break", "\n\n" if chunk.count("\n") > 1 else "\n", "\n", ()))
            else:
                items += _split(chunk, index, pack)
    return _german_ordinals(items) if pack.language == "de" else items


def split_text(text: str) -> list[str]:
    """Split a string into words; the white space that holds a line break stays with the word after it."""
    return text.split() if "\n" not in text else WORD_WITH_LINES.findall(text)


def _split(chunk: str, index: int, pack: Pack) -> list[Item]:
    """Split one chunk into leading marks, core and trailing marks."""
    if chunk == '"':
        return [Item("mark", chunk, chunk, (index,))]
    if chunk in ("-", "–", "—", "/", "+", "=", "&"):
        return [Item("word", chunk, chunk, (index,))]
    lead = LEADING.match(chunk)
    front = [_mark(sign, index, opening=True) for sign in lead.group()] if lead else []
    core = chunk[lead.end() :] if lead else chunk
    tail = TRAILING.search(core)
    back: list[Item] = []
    if tail and core:
        low = core.lower()
        if DOTTED.match(low) or low in pack.abbreviations:
            return [*front, Item("word", core, low, (index,))]
        signs = tail.group()
        if len(signs) > 1 and (
            core[: tail.start() + 1].lower() in pack.abbreviations or DOTTED.match(core[: tail.start() + 1])
        ):
            signs = signs[1:]
        back = [_mark(sign, index, opening=False) for sign in signs]
        core = core[: len(core) - len(signs)]
    return [*front, *(_core(core, index, pack) if core else ()), *back]


def _mark(sign: str, index: int, *, opening: bool) -> Item:
    if sign in '"“”„»«':
        return Item("mark", '"', "“" if opening else "”", (index,), glue="r" if opening else "l")
    return Item("mark", sign, sign, (index,), glue=GLUE.get(sign, "l"))


def _core(core: str, index: int, pack: Pack) -> list[Item]:
    """One word, or a number with its glued sign or unit."""
    low = unicodedata.normalize("NFC", core).lower()
    if not (low[0].isdigit() or low[0] in "<>≤≥±+-.,"):
        return [Item("word", core, low.replace("’", "'"), (index,))]
    hyphened = HYPHENED.match(core)
    if hyphened and hyphened.group(2).lower() in HYPHEN_UNITS:
        return [
            *_core(hyphened.group(1), index, pack),
            Item("word", hyphened.group(2), hyphened.group(2).lower(), (index,)),
        ]
    glued = GLUED.match(core)
    if glued:
        return [*_core(glued.group(1), index, pack), Item("word", glued.group(2), glued.group(2).lower(), (index,))]
    if OPAQUE.match(core):
        return [Item("num", core, low, (index,), parts=(Number(core, "text"),))]
    if ORDINAL.match(low):
        return [Item("ord", core, low, (index,), parts=(Number(low[:-2]),))]
    signed = SIGNED.match(core)
    parts: tuple[Part, ...] = ()
    body, sign = (signed.group(2), signed.group(1)) if signed else (core, "")
    if PLAIN[pack.language].match(body) and body.isascii():
        value = plain_value(body, pack.language)
        bare = body.isdigit() and (len(body) > 4 or (body[0] == "0" and len(body) > 1))
        shape = "decimal" if "." in value else "digits" if bare else "int"
        number = Number(value, shape, sign if sign in ("-", "+", "±") else "")  # type: ignore[arg-type]
        parts = (sign, number) if sign in ("<", ">", "≤", "≥") and sign else (number,)
        return [Item("num", core, low, (index,), parts=parts)]
    return [Item("word", core, low, (index,))]


def plain_value(text: str, language: str) -> str:
    """Read a written number: grouping removed, decimal point, a zero before a bare point."""
    value = text.replace(",", "") if language == "en" else text.replace(".", "").replace(",", ".")
    return "0" + value if value.startswith(".") else value


def _german_ordinals(items: list[Item]) -> list[Item]:
    """Make "3." an ordinal where a lower-case word or a month follows: "am 3. Mai", "am 3. postoperativen Tag"."""
    result: list[Item] = []
    months = (
        "januar",
        "februar",
        "märz",
        "april",
        "mai",
        "juni",
        "juli",
        "august",
        "september",
        "oktober",
        "november",
        "dezember",
    )
    position = 0
    while position < len(items):
        item = items[position]
        following = items[position + 1 : position + 3]
        if (
            item.number is not None
            and item.number.shape == "int"
            and len(item.number.value) < 3
            and len(following) == 2
            and following[0].low == "."
            and following[0].words == item.words
            and following[1].kind == "word"
            and (following[1].text[:1].islower() or following[1].low in months)
        ):
            result.append(replace(item, kind="ord", text=item.text + ".", low=item.low + "."))
            position += 2
            continue
        result.append(item)
        position += 1
    return result


def word_texts(source: str | Sequence[str]) -> list[str]:
    """Return the words of a string, or the list as it is."""
    return split_text(source) if isinstance(source, str) else list(source)
