"""Clinical sentences from a grammar file and the lexicon, with coverage control.

Every term of a list occurs as often as the others before any occurs more often; a chosen term is put into as many
different templates as there are. Knows nothing of voices or audio.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medstt.errors import DataError
from medstt.synth.number import GENERATORS
from medstt.values import Language

SLOT = re.compile(r"\{(\w+)\}")
OPTIONAL = re.compile(r"\(([^()]*)\) ?")
MARK = "\x00"  # stands around the number of a drawn term until the sentence is complete


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence to speak.

    ``text`` is the verbatim target, ``speech`` what a voice reads, ``phonemes`` the same with [[phonemes]] in it for
    espeak-ng (empty where no term has any), ``terms`` the lexicon's names of the terms in it.
    """

    text: str
    speech: str
    lang: Language
    terms: tuple[str, ...] = ()
    source: str = ""
    phonemes: str = ""


@dataclass(frozen=True, slots=True)
class SpokenTerm:
    """One way to say a lexicon term.

    ``text`` stands in the transcript, ``speech`` is what a voice reads, ``phonemes`` ([[...]]) what espeak-ng reads
    instead, ``name`` the lexicon's name where it differs from ``text``.
    """

    text: str
    speech: str
    twins: tuple[str, ...] = ()
    phonemes: str = ""
    name: str = ""


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


@dataclass(frozen=True, slots=True)
class Rule:
    """A template, whether it names a drug, and how often it is chosen against the others."""

    template: str
    drug: bool
    weight: float


class Grammar:
    """A parsed grammar file; makes one sentence after another."""

    def __init__(self, lang: Language, slots: Mapping[str, Sequence[str]], rules: Sequence[Rule]) -> None:
        self.lang = lang
        self._slots = slots
        self._rules = rules

    def limited(self, lists: Iterable[str]) -> Grammar:
        """Return the grammar without the templates and options that need a list which is not among ``lists``."""
        given = set(lists)
        fixed = set(GENERATORS) | given | ({"twin"} if "drug" in given else set())
        slots = {name: list(options) for name, options in self._slots.items()}
        while True:
            known = fixed | {name for name, options in slots.items() if options}
            kept = {
                name: [one for one in options if known.issuperset(SLOT.findall(one))] for name, options in slots.items()
            }
            if kept == slots:
                rules = [rule for rule in self._rules if known.issuperset(SLOT.findall(rule.template))]
                return Grammar(self.lang, slots, rules)
            slots = kept

    def sentence(self, rng: random.Random, decks: Mapping[str, Deck], *, drugs: bool) -> Sentence:
        """Return one sentence; ``drugs`` chooses among the templates that name a drug, else among the others."""
        rules = [rule for rule in self._rules if rule.drug is drugs]
        if not rules:
            raise DataError(f"the {self.lang} grammar has no template for these lists", "Add some to the grammar file")
        template = rng.choices([rule.template for rule in rules], [rule.weight for rule in rules])[0]
        return self._fill(_drop_optional(template, rng), rng, decks, [])

    def about(
        self,
        rng: random.Random,
        decks: Mapping[str, Deck],
        slot: str,
        terms: Sequence[SpokenTerm],
        per_term: int,
    ) -> Iterator[Sentence]:
        """Yield ``per_term`` sentences for each term, each term in a new template until all have been used.

        ``slot`` says where the terms fit. Ways to say one term (the same ``name``) take turns.
        """
        templates = [rule.template for rule in self._rules if f"{{{slot}}}" in OPTIONAL.sub("", rule.template)]
        if not templates:
            raise DataError(f"the {self.lang} grammar has no template with {{{slot}}}", "Add some to the grammar file")
        forms: dict[str, list[SpokenTerm]] = {}
        for term in terms:
            forms.setdefault(term.name or term.text, []).append(term)
        for ways in forms.values():
            order = rng.sample(templates, len(templates))
            for number in range(per_term):
                template = _drop_optional(order[number % len(order)], rng)
                chosen = ways[number % len(ways)]
                template = template.replace(f"{{{slot}}}", f"{MARK}0{MARK}", 1)
                yield self._fill(template, rng, decks, [chosen])

    def _fill(self, template: str, rng: random.Random, decks: Mapping[str, Deck], drawn: list[SpokenTerm]) -> Sentence:
        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name in GENERATORS:
                return GENERATORS[name](rng, self.lang)
            if name == "twin":
                named = next((term for term in reversed(drawn) if term.twins), None)
                text = rng.choice(named.twins) if named else ""
                drawn.append(SpokenTerm(text, text) if named else decks["drug"].draw())
                return f"{MARK}{len(drawn) - 1}{MARK}"
            if name in decks:
                drawn.append(decks[name].draw())
                return f"{MARK}{len(drawn) - 1}{MARK}"
            return rng.choice(self._slots[name])

        while SLOT.search(template):
            template = SLOT.sub(fill, template)
        pieces = re.split(MARK, " ".join(template.split()))

        def read(of: Mapping[int, str]) -> str:
            return "".join(of[int(piece)] if index % 2 else piece for index, piece in enumerate(pieces))

        return Sentence(
            read({number: term.text for number, term in enumerate(drawn)}),
            read({number: term.speech for number, term in enumerate(drawn)}),
            self.lang,
            tuple(term.name or term.text for term in drawn),
            "grammar",
            read({number: term.phonemes or term.speech for number, term in enumerate(drawn)})
            if any(term.phonemes for term in drawn)
            else "",
        )


def _drop_optional(template: str, rng: random.Random) -> str:
    return OPTIONAL.sub(lambda part: f"{part[1]} " if rng.random() < 0.5 else "", template)


def read_grammar(path: Path, lang: Language, lists: Iterable[str]) -> Grammar:
    """Read a grammar TOML; raises DataError for an unknown slot. ``lists`` names the slots that the lexicon fills."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}", "Correct the grammar file") from error
    slots: dict[str, list[str]] = data["slots"]
    # Every template of a group has the group's weight.
    rules = [
        Rule(text, bool(group.get("drug", False)), float(group.get("weight", 1)))
        for group in data["templates"]
        for text in group["text"]
    ]
    known = set(slots) | set(GENERATORS) | set(lists) | {"twin"}
    for text in [rule.template for rule in rules] + [option for options in slots.values() for option in options]:
        for name in SLOT.findall(text):
            if name not in known:
                raise DataError(
                    f"{path.name}: unknown slot {{{name}}} in {text!r}", f"Known: {', '.join(sorted(known))}"
                )
    return Grammar(lang, slots, rules)
