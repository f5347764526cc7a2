"""The pieces the dictation layer works on: an item per word, number, mark, break or act, with the words behind it.

Knows nothing of any language.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["word", "num", "ord", "unit", "mark", "break", "act"]
Origin = Literal["words", "command", "template"]


@dataclass(frozen=True, slots=True)
class Number:
    """One number as dictated: ``value`` has a decimal point and no grouping; ``shape`` says how it was spoken.

    Shapes: int, decimal, digits (one digit at a time, zeros kept), pair (``twenty thirty``: two numbers in ``pair``),
    fraction (``value`` is "1/2" or "1 1/2"), text (already written: copied as it is).
    """

    value: str
    shape: Literal["int", "decimal", "digits", "pair", "fraction", "text"] = "int"
    sign: str = ""
    pair: tuple[int, int] | None = None

    @property
    def size(self) -> float:
        """The value as a float; -1 for fractions and texts."""
        if self.shape in ("fraction", "text") or len(self.value) > 15:
            return -1.0
        return float(self.sign.replace("±", "") + self.value) if self.sign in ("", "-", "+", "±") else -1.0

    @property
    def whole(self) -> int:
        """The value as an integer; -1 where it is none."""
        ok = self.shape in ("int", "digits", "pair") and not self.sign and self.value.isascii()
        return int(self.value) if ok and self.value.isdigit() and len(self.value) < 10 else -1


Part = Number | str


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of the report in the making.

    ``low`` is the key rules match on; ``parts`` are the numbers and signs of a "num" item, written when the style
    is applied; ``glue`` says on which sides ("l", "r") no space is set; ``weak`` marks a number word that stays a
    word unless its context makes it a number ("one", "eine").
    """

    kind: Kind
    text: str
    low: str
    words: tuple[int, ...]
    rule: str = "verbatim"
    origin: Origin = "words"
    parts: tuple[Part, ...] = ()
    glue: str = ""
    weak: bool = False

    @property
    def number(self) -> Number | None:
        """The number, where the item is one single number."""
        part = self.parts[0] if self.kind == "num" and len(self.parts) == 1 else None
        return part if isinstance(part, Number) else None


def join_words(items: list[Item]) -> tuple[int, ...]:
    """Return the word indices behind several items, in order, each once."""
    return tuple(dict.fromkeys(index for item in items for index in item.words))


def compound(items: list[Item], parts: tuple[Part, ...], rule: str) -> Item:
    """Make one "num" item of several."""
    return Item("num", "", "", join_words(items), rule, parts=parts)


def written(items: list[Item], text: str, rule: str) -> Item:
    """Make one finished "word" item of several."""
    return Item("word", text, text.lower(), join_words(items), rule)


def as_word(item: Item) -> Item:
    """Turn a number item back into the word it was dictated as."""
    return replace(item, kind="word", parts=(), weak=False, rule="verbatim")
