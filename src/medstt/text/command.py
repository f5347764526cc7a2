"""Spoken commands -> marks, breaks and acts; words that only sound like one are left alone.

Owns the decision by context (colon the organ, "period of three weeks"). Knows nothing of numbers or layout.
"""

from __future__ import annotations

from dataclasses import replace

from medstt.text.context import closes, low_at, starts_sentence, word_at
from medstt.text.item import Item, join_words
from medstt.text.pack import Command, Pack, Phrases

GLUE = {
    ".": "l",
    ",": "l",
    ":": "l",
    ";": "l",
    "?": "l",
    "!": "l",
    "-": "lr",
    "/": "lr",
    "(": "r",
    ")": "l",
    "“": "r",
    "”": "l",
    "%": "l",
    "'s": "l",
}
LATER_WINDOW = 60
JOINTS = ("hyphen", "bindestrich")
PUNCTUATION = (".", ",", ":", ";", "?", "!")


def read_commands(items: list[Item], pack: Pack, auto_texts: Phrases[str]) -> list[Item]:
    """Return the items with spoken commands replaced; each command item keeps the indices of its words."""
    result: list[Item] = []
    open_quote = False
    position = 0
    while position < len(items):
        found = pack.commands.match(items, position) if items[position].kind == "word" else None
        if found and _is_command(items, position, found[1], found[0], pack):
            made, position = _make(items, position, found[1], found[0], auto_texts)
            if made.kind == "mark" and made.low == '"':
                made = replace(made, glue="l" if open_quote else "r")
                open_quote = not open_quote
            result.append(made)
        else:
            result.append(items[position])
            position += 1
    return drop_doubled(result)


def _is_command(items: list[Item], start: int, end: int, command: Command, pack: Pack) -> bool:
    """Decide by the neighbours whether the phrase is a command or ordinary words."""
    before, after = low_at(items, start - 1), low_at(items, end)
    if low_at(items, start - 2) in JOINTS:
        before = f"{low_at(items, start - 3)}-{before}"
    pair = f"{after} {low_at(items, end + 1)}"
    if pair in command.noun_before:
        return False
    if command.write == "." and items[start].low == "punkt" and low_at(items, end + 1) == "uhr":
        return False
    first = starts_sentence(items, start)
    if first and start < len(items) and after in command.start_before:
        return False
    if command.needs_later and not _comes_later(items, end, command):
        return False
    if (
        command.write == ":"
        and _follows_heading(items, start, pack)
        and after not in ("cancer", "carcinoma", "polyps", "polyp")
    ):
        return after != "colon" or before != "the"
    if after == items[start].low and end == start + 1 and command.before and before != after:
        return False
    if (
        before == items[start].low
        and end == start + 1
        and command.before
        and not _follows_heading(items, start - 1, pack)
    ):
        return True
    ends = closes(items, end) or pack.commands.match(items, end) is not None
    if command.write == ":" and first and _literal(items, end):
        return False
    if before in pack.sets["period_adjectives"] and low_at(items, start - 2) in pack.sets["determiners"]:
        return False
    if not first and not ends and _in_noun_phrase(items, start, command, pack):
        return False
    if before in ("a", "an") and low_at(items, start - 2) and items[start - 2].kind == "num":
        return True
    if not first and (before in command.after or (before + "-" in command.after and not ends)):
        return False
    if after in command.before or (after + "-" in command.before and not ends):
        return pair in command.command_before or after in command.command_before
    if command.write in ("cap", "caps", "lower"):
        return word_at(items, end) != ""
    return True


def _literal(items: list[Item], index: int) -> bool:
    """Tell whether the recogniser wrote a mark at ``index``."""
    return index < len(items) and items[index].kind == "mark" and items[index].origin == "words"


def _in_noun_phrase(items: list[Item], start: int, command: Command, pack: Pack) -> bool:
    """Tell "der linke Absatz", "a virtual colon examination": determiner, adjective, then the word itself."""
    if not command.before or low_at(items, start - 2) not in pack.sets["determiners"]:
        return False
    middle = items[start - 1]
    return (
        middle.kind == "word"
        and middle.low not in pack.sets["no_adjective"]
        and (middle.text.islower() if pack.language == "de" else command.write == ":")
    )


def _comes_later(items: list[Item], end: int, command: Command) -> bool:
    """Tell whether one of the closing phrases follows within the window."""
    text = " ".join(item.low for item in items[end : end + LATER_WINDOW]) + " "
    return any(f" {phrase} " in f" {text}" for phrase in command.needs_later)


def _follows_heading(items: list[Item], index: int, pack: Pack) -> bool:
    """Tell whether the sentence so far is a known heading and nothing else."""
    for start in range(max(0, index - 4), index):
        found = pack.heading.match(items, start)
        if found and found[1] == index and (starts_sentence(items, start) or _is_break_before(items, start, pack)):
            return True
    return False


def _is_break_before(items: list[Item], start: int, pack: Pack) -> bool:
    return any(
        (found := pack.commands.match(items, begin)) is not None
        and found[1] == start
        and found[0].write in (".", "\n", "\n\n")
        for begin in range(max(0, start - 2), start)
    )


def _make(items: list[Item], start: int, end: int, command: Command, auto_texts: Phrases[str]) -> tuple[Item, int]:
    """Build the mark, break or act; an insertion takes the auto-text's name along, or stays as dictated."""
    if command.write == "insert":
        return _insertion(items, start, end, command, auto_texts)
    used = items[start:end]
    words, rule = join_words(used), f"command:{command.name}"
    if command.kind == "act":
        return Item("act", " ".join(item.text for item in used), command.write, words, rule, "command"), end
    if command.kind == "break":
        return Item("break", command.write, "\n", words, rule, "command"), end
    if (
        command.write == "–"
        and start > 0
        and items[start - 1].kind == "num"
        and end < len(items)
        and items[end].kind == "num"
    ):
        return Item("mark", "-", "-", words, rule, "command", glue="lr"), end
    text = '"' if command.write in ("“", "”", '"') else command.write
    low = '"' if command.write == '"' else command.write
    return Item("mark", text, low, words, rule, "command", glue=GLUE.get(command.write, "")), end


def _insertion(items: list[Item], start: int, end: int, command: Command, auto_texts: Phrases[str]) -> tuple[Item, int]:
    named = auto_texts.match(items, end)
    if named is None:
        rule = "unknown-auto-text" if end - start > 1 or command.name != "insert" else "verbatim"
        return replace(items[start], rule=rule), start + 1
    name, after = named
    if word_at(items, after) in ("einfügen", "ein"):
        after += 1
    return Item("act", name, "insert", join_words(items[start:after]), f"auto-text:{name}", "template"), after


def drop_doubled(items: list[Item]) -> list[Item]:
    """Drop punctuation that the recogniser wrote around a spoken command ("daily, period, new paragraph.")."""
    result: list[Item] = []
    for item in items:
        literal = item.kind == "mark" and item.origin == "words" and item.low in PUNCTUATION
        spoken = item.origin != "words" and item.kind in ("mark", "break", "act")
        if literal and result and result[-1].origin != "words" and result[-1].kind in ("mark", "break", "act"):
            continue
        while (
            spoken
            and result
            and result[-1].kind == "mark"
            and result[-1].origin == "words"
            and _yields(result[-1], item)
        ):
            result.pop()
        result.append(item)
    return result


def _yields(literal: Item, spoken: Item) -> bool:
    """Tell whether a written mark gives way to the spoken command after it."""
    if literal.low not in PUNCTUATION:
        return False
    if spoken.kind == "break":
        return literal.low == ","
    if spoken.kind == "act":
        return literal.low == ","
    return spoken.low in (*PUNCTUATION, "-", "/", ")", "”") or literal.low == ","
