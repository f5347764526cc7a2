"""Looking around: the neighbours of an item within its sentence, in a bounded window, so that all passes stay linear.

Knows nothing of what the rules make of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from medstt.text.item import Item

STOPS = (".", "?", "!", ";")


def low_at(items: list[Item], index: int) -> str:
    """Return the matching key of the item at ``index``, empty beyond the ends."""
    return items[index].low if 0 <= index < len(items) else ""


def word_at(items: list[Item], index: int) -> str:
    """Return the key of an ordinary word at ``index``, empty for anything else."""
    return items[index].low if 0 <= index < len(items) and items[index].kind == "word" else ""


def is_stop(item: Item) -> bool:
    """Tell whether the item ends a sentence."""
    return item.kind == "break" or (item.kind == "mark" and item.low in STOPS)


def closes(items: list[Item], index: int) -> bool:
    """Tell whether a phrase may end before ``index``: the end, a mark, a break or an act."""
    return index >= len(items) or items[index].kind in ("mark", "break", "act")


def words_before(items: list[Item], index: int, limit: int) -> list[str]:
    """Return up to ``limit`` keys before ``index`` in the same sentence, nearest first."""
    found: list[str] = []
    for position in range(index - 1, max(-1, index - 1 - limit), -1):
        if is_stop(items[position]):
            break
        found.append(items[position].low)
    return found


def words_after(items: list[Item], index: int, limit: int) -> list[str]:
    """Return up to ``limit`` keys from ``index`` on in the same sentence."""
    found: list[str] = []
    for position in range(index, min(len(items), index + limit)):
        if is_stop(items[position]):
            break
        found.append(items[position].low)
    return found


def near(items: list[Item], index: int, words: Iterable[str], limit: int = 8) -> bool:
    """Tell whether one of ``words`` stands within ``limit`` items before ``index`` in the sentence."""
    return not frozenset(words).isdisjoint(words_before(items, index, limit))


def starts_sentence(items: list[Item], index: int) -> bool:
    """Tell whether ``index`` is where a sentence begins."""
    return index == 0 or is_stop(items[index - 1])
