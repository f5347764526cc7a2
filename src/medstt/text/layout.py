"""Items -> text: acts carried out, spacing, sentence case, known capitals; a span for every piece.

Owns the text and its spans. Knows nothing of numbers' grammar, nor of where items come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from medstt.text.item import Item
from medstt.text.pack import Pack
from medstt.text.style import Style, write_parts
from medstt.values import Span

HEADING_WORDS = 4
SENTENCE_END = (".", "?", "!")


@dataclass(slots=True)
class Page:
    """Text in the making: the pieces so far, their spans, and the characters written."""

    pieces: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    length: int = 0

    def write(self, text: str) -> None:
        """Append characters that need no span (spaces)."""
        self.pieces.append(text)
        self.length += len(text)

    def add(self, text: str, item: Item) -> None:
        """Append an item's characters and their span."""
        self.spans.append(Span(self.length, self.length + len(text), item.words, item.rule, item.origin))
        self.write(text)

    def note(self, item: Item) -> None:
        """Record an item that leaves no characters (a removal)."""
        self.spans.append(Span(self.length, self.length, item.words, item.rule, item.origin))

    @property
    def text(self) -> str:
        """Everything written so far."""
        return "".join(self.pieces)


def carry_out(items: list[Item], expand: Callable[[str, Item], list[Item]]) -> list[Item]:
    """Carry out acts: remove back to the sentence start, insert auto-texts, set capitals, stop at the end."""
    result: list[Item] = []
    case = ""
    locked = ""
    for item in items:
        if item.kind != "act":
            shape = case or locked
            result.append(_cased(item, shape) if shape and item.kind == "word" else item)
            case = "" if item.kind == "word" else case
        elif item.low == "undo":
            _undo(result, item)
        elif item.low == "insert":
            result += expand(item.text, item)
        elif item.low in ("caps-on", "caps-off"):
            locked = "caps" if item.low == "caps-on" else ""
            result.append(replace(item, text=""))
        elif item.low == "end":
            result.append(replace(item, text=""))
        else:
            case = item.low
            result.append(replace(item, text=""))
    return result


def _cased(item: Item, shape: str) -> Item:
    """Apply a spoken capital; the rule is recorded."""
    text = item.text
    if shape == "caps":
        text = text.upper()
    elif shape == "cap":
        text = text[:1].upper() + text[1:]
    else:
        text = text[:1].lower() + text[1:]
    return replace(item, text=text, rule=f"{item.rule}+{shape}" if item.rule != "verbatim" else shape)


def _undo(result: list[Item], act: Item) -> None:
    """Remove the sentence in progress, or the last one where it has just ended; what went is kept in the record."""
    removed: list[int] = []
    while result and _ends_sentence(result[-1]):
        removed = [*result.pop().words, *removed]
    while result and not _ends_sentence(result[-1]):
        removed = [*result.pop().words, *removed]
    words = tuple(dict.fromkeys([*removed, *act.words]))
    result.append(Item("act", "", "removed", words, "command:scratch that", "command"))


def _ends_sentence(item: Item) -> bool:
    return item.kind == "break" or (item.kind == "mark" and item.low in SENTENCE_END)


def lay_out(items: list[Item], pack: Pack, style: Style, page: Page | None = None) -> Page:
    """Write the items onto a page."""
    page = page or Page()
    starts, tight, quoted = True, True, False
    since: list[str] = []
    for position, item in enumerate(items):
        if item.kind == "act":
            page.note(item)
            continue
        if item.kind == "break":
            tight = _write_break(page, item)
            starts, since = True, []
            continue
        if item.kind == "mark" and item.text == '"':
            quoted = not quoted if item.low == '"' else item.low == "“"
            item = replace(item, glue="r" if quoted else "l")
        if not tight and "l" not in item.glue:
            page.write(" ")
        text = _render(item, style, pack)
        if starts and style.sentence_case and item.kind in ("word", "unit", "num"):
            text = _capital(text, item)
        page.add(text, item)
        tight = "r" in item.glue
        starts, since = _after(item, starts, since, items, position, pack)
    return page


def _write_break(page: Page, item: Item) -> bool:
    """Write a line break, or an empty line, once; tell that no space is due after it."""
    ending = "".join(page.pieces[-3:])[-2:]
    if item.text.startswith("\n- "):
        text = "- " if ending.endswith("\n") or not page.length else "\n- "
        page.add(text, item)
        return True
    if not page.length or ending == "\n\n":
        page.note(item)
        return True
    page.add("\n" if ending.endswith("\n") else item.text, item)
    return True


def _render(item: Item, style: Style, pack: Pack) -> str:
    """The characters of an item before any sentence capital."""
    if item.kind == "num":
        return write_parts(item.parts, style)
    if style.known_case and item.kind == "word" and item.rule == "verbatim" and item.text.islower():
        if item.low in pack.case:
            return pack.case[item.low]
        if item.low in pack.sets["upper"]:
            return item.text[:1].upper() + item.text[1:]
    return item.text


def _capital(text: str, item: Item) -> str:
    """Set the sentence's first letter in upper case, except in words with capitals of their own (pH, mRNA)."""
    if item.kind != "word" or any(letter.isupper() for letter in text):
        return text
    head = text[:1]
    upper = head.upper()
    return upper + text[1:] if len(upper) == 1 else text


def _after(
    item: Item, starts: bool, since: list[str], items: list[Item], position: int, pack: Pack
) -> tuple[bool, list[str]]:
    """Whether the next word begins a sentence, and the words since the last beginning."""
    if item.kind == "mark":
        if item.low in SENTENCE_END:
            return True, []
        if item.low == ":":
            return _is_heading(since, pack), [*since, ":"] if len(since) <= HEADING_WORDS else since
        if item.low in ("(", "“", '"', "-") and starts:
            return True, since
        return False, since
    return False, [*since, item.low] if len(since) <= HEADING_WORDS else since


def _is_heading(since: list[str], pack: Pack) -> bool:
    """Tell whether the words before a colon are heading-like: few, without article or finite verb."""
    return 0 < len(since) <= HEADING_WORDS and ":" not in since and not pack.sets["not_in_heading"] & set(since)
