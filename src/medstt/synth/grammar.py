"""Clinical sentences from a grammar file and the lexicon, with coverage control.

Every chosen term occurs as often as asked before any occurs more often. Knows nothing of voices or audio.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medstt.errors import DataError
from medstt.synth.number import GENERATORS
from medstt.values import Language

SLOT = re.compile(r"\{(\w+)\}")
OPTIONAL = re.compile(r"\(([^()]*)\) ?")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence to speak: ``text`` is the verbatim target, ``speech`` what the synthesiser reads (may hold phonemes)."""

    text: str
    speech: str
    lang: Language
    terms: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class SpokenTerm:
    """A lexicon term for a slot: how it is written in the transcript, and how the synthesiser is told to say it."""

    text: str
    speech: str
    twins: tuple[str, ...] = ()


class Deck:
    """Hands out items so that each has been drawn n times before any is drawn n + 1 times."""

    def __init__(self, items: Sequence[SpokenTerm], rng: random.Random) -> None:
        self._items = list(items)
        self._rng = rng
        self._left: list[SpokenTerm] = []

    def draw(self) -> SpokenTerm:
        """Return the next item of a shuffled round."""
        if not self._left:
            self._left = self._rng.sample(self._items, len(self._items))
        return self._left.pop()


class Grammar:
    """A parsed grammar file; ``sentences`` yields without end."""

    def __init__(self, lang: Language, slots: Mapping[str, Sequence[str]], rules: Sequence[tuple[str, bool, float]]) -> None:
        """``rules`` are (template, names a drug, weight)."""
        self.lang = lang
        self._slots = slots
        self._rules = rules

    def sentence(self, rng: random.Random, decks: Mapping[str, Deck], *, drugs: bool) -> Sentence:
        """Return one sentence; ``drugs`` chooses among the templates that name a drug, else among the others."""
        rules = [rule for rule in self._rules if rule[1] is drugs]
        template = rng.choices([rule[0] for rule in rules], [rule[2] for rule in rules])[0]
        template = OPTIONAL.sub(lambda part: f"{part[1]} " if rng.random() < 0.5 else "", template)
        drawn: list[SpokenTerm] = []

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name in GENERATORS:
                return GENERATORS[name](rng, self.lang)
            if name == "twin":
                named = next((term for term in reversed(drawn) if term.twins), None)
                text = rng.choice(named.twins) if named else decks["drug"].draw().text
                drawn.append(SpokenTerm(text, text))
                return f"\x00{len(drawn) - 1}\x00"
            if name in decks:
                drawn.append(decks[name].draw())
                return f"\x00{len(drawn) - 1}\x00"
            return rng.choice(self._slots[name])

        while SLOT.search(template):
            template = SLOT.sub(fill, template)
        pieces = re.split("\x00", " ".join(template.split()))
        text = "".join(drawn[int(piece)].text if index % 2 else piece for index, piece in enumerate(pieces))
        speech = "".join(drawn[int(piece)].speech if index % 2 else piece for index, piece in enumerate(pieces))
        return Sentence(text, speech, self.lang, tuple(term.text for term in drawn), "grammar")


def read_grammar(path: Path, lang: Language, lists: Iterable[str]) -> Grammar:
    """Read a grammar TOML; raises DataError for an unknown slot. ``lists`` names the slots that the lexicon fills."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}", "Correct the grammar file") from error
    slots: dict[str, list[str]] = data["slots"]
    rules = []
    for group in data["templates"]:
        # A group's weight is shared by its templates by count, so that a long list is not said less per template.
        rules += [(text, bool(group.get("drug", False)), float(group.get("weight", 1))) for text in group["text"]]
    known = set(slots) | set(GENERATORS) | set(lists) | {"twin"}
    for text in [rule[0] for rule in rules] + [option for options in slots.values() for option in options]:
        for name in SLOT.findall(text):
            if name not in known:
                raise DataError(f"{path.name}: unknown slot {{{name}}} in {text!r}", f"Known: {', '.join(sorted(known))}")
    return Grammar(lang, slots, rules)
