"""What the lexicon lends to sentences: lists of terms to speak, held-out drugs apart, names no text may hold.

Knows nothing of grammars, voices or audio.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from num2words import num2words

from medstt.errors import DataError, VocabError
from medstt.synth.corpus import WORD, names_any
from medstt.synth.grammar import SpokenTerm
from medstt.values import LANGUAGES, Language
from medstt.vocab import Layer, Lexicon, Term, load_lexicon

LISTS = ("drug", "condition", "anatomy", "procedure", "lab", "term")  # slots of a grammar that are filled from here
SLOT_OF_KIND = {
    "drug": "drug",
    "brand": "drug",
    "condition": "condition",
    "anatomy": "anatomy",
    "procedure": "procedure",
    "lab": "lab",
}
OTHER_SLOT = "term"  # abbreviations, names, units and terms of no given kind: said in neutral sentences
DRUG_KINDS = ("drug", "brand")
SPEAKABLE = re.compile(r"[A-Za-zÄÖÜäöüßéèáàô]+(?:[ '’-]+[A-Za-zÄÖÜäöüßéèáàô]+)*")
PHONEMES = re.compile(r"\[\[.+\]\]")
MIN_DISTINCTIVE = 5  # letters of a word that names a drug of several words on its own


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the lexicon lends to sentences of one language.

    ``lists`` fill the slots of a grammar and hold no held-out drug; ``forbidden`` are lower-case names (and telling
    words of longer names) of held-out drugs, ``drug_names`` those of all drugs; ``chosen`` are the terms to be taught
    on request, by slot, whether held out or not.
    """

    lists: dict[str, tuple[SpokenTerm, ...]]
    held_out: tuple[SpokenTerm, ...]
    forbidden: frozenset[str]
    drug_names: frozenset[str] = frozenset()
    chosen: dict[str, tuple[SpokenTerm, ...]] = field(default_factory=dict)


def build_vocabulary(lexicon: Lexicon, lang: Language, chosen: Iterable[Term] = ()) -> Vocabulary:
    """Sort a lexicon of both languages into the lists of one; ``chosen`` terms may be missing from the lexicon.

    The hold-out rule looks at both languages at once, because a name may be held out by its twin in the other.
    """
    held_names = lexicon.held_out_names()
    forbidden = telling_names(lexicon, held_names)
    lists: dict[str, list[SpokenTerm]] = {name: [] for name in LISTS}
    held_out: list[SpokenTerm] = []
    for term in lexicon:
        slot = SLOT_OF_KIND.get(term.kind)
        if term.language != lang or slot is None:
            continue
        if term.text.lower() in held_names:
            held_out += spoken_forms(term)
        elif not names_any(_words(term.text), forbidden):
            twins = _twins(lexicon, term, lang, forbidden) if slot == "drug" else ()
            lists[slot] += [form for form in spoken_forms(term, twins) if not names_any(_words(form.text), forbidden)]
    wanted: dict[str, list[SpokenTerm]] = {}
    for term in chosen:
        if term.language == lang:
            wanted.setdefault(SLOT_OF_KIND.get(term.kind, OTHER_SLOT), []).extend(spoken_forms(term))
    drug_names = frozenset(
        " ".join(_words(name)) for term in lexicon if term.kind in DRUG_KINDS for name in _names(term)
    )
    return Vocabulary(
        {name: tuple(terms) for name, terms in lists.items()},
        tuple(held_out),
        forbidden,
        drug_names | forbidden,
        {name: tuple(terms) for name, terms in wanted.items()},
    )


def build_vocabularies(layers: Sequence[Path] = (), chosen: Iterable[Term] = ()) -> dict[Language, Vocabulary]:
    """Build the vocabularies of both languages from the built-in lexicon with a site's ``layers`` over it."""
    lexicon = load_lexicon(None, layers)
    terms = tuple(chosen)
    return {lang: build_vocabulary(lexicon, lang, terms) for lang in LANGUAGES}


def read_chosen(path: Path, lang: Language | None = None) -> tuple[Term, ...]:
    """Read the terms to teach: a vocabulary table (.tsv), or a text file with one term a line in ``lang``.

    Raises DataError or VocabError naming the line.
    """
    if path.suffix == ".tsv" or path.is_dir():
        terms = tuple(load_lexicon(lang, [Layer("site", path)], builtin=False))
    else:
        terms = _read_lines(path, lang)
    for term in terms:
        if not spoken_forms(term):
            raise VocabError(
                f"{path.name}: {term.text!r} cannot be spoken as it is written",
                "Fill the table's column spoken with the words that are said",
            )
    if not terms:
        raise DataError(f"{path}: no term in it", "Write one term a line, or a vocabulary table (.tsv)")
    return terms


def _read_lines(path: Path, lang: Language | None) -> tuple[Term, ...]:
    if lang is None:
        raise DataError(f"{path}: a plain list says nothing of its language", "Name it with --language en or de")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", "Give a UTF-8 file with one term a line") from error
    names = dict.fromkeys(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    known: dict[str, Term] = {}
    for term in load_lexicon(lang):
        known.setdefault(term.text.lower(), term)
    # A term that the lexicon knows is said in sentences of its kind; others are neither drug nor disease to us.
    return tuple(
        known[name.lower()]._replace(text=name) if name.lower() in known else Term(name, "name", lang) for name in names
    )


def spoken_forms(term: Term, twins: tuple[str, ...] = ()) -> list[SpokenTerm]:
    """Return the ways to say a term: what stands in the verbatim text, and what a voice is told to read.

    Digits become words. A pronunciation in [[...]] goes to espeak-ng alone, a respelling to every voice.
    """
    forms: dict[str, SpokenTerm] = {}
    phonemes = term.pronunciation if PHONEMES.fullmatch(term.pronunciation) else ""
    respelling = "" if phonemes else term.pronunciation
    for number, name in enumerate((term.text, *term.spoken)):
        text = _say_digits(name, term.language)
        if not SPEAKABLE.fullmatch(text):
            continue
        first = number == 0  # the pronunciation is that of the term itself, not of another way to say it
        forms.setdefault(
            text, SpokenTerm(text, (first and respelling) or text, twins, phonemes if first else "", term.text)
        )
    return list(forms.values())


def telling_names(lexicon: Lexicon, held_names: Iterable[str]) -> frozenset[str]:
    """Return held-out names as lower-case words, and those words of longer names that no other term shares."""
    shared = {word for term in lexicon if term.kind not in DRUG_KINDS for word in _words(term.text)}
    held = {name: _words(name) for name in held_names}
    for term in lexicon:
        if term.kind in DRUG_KINDS and term.text.lower() not in held:
            shared.update(word for name in _names(term) for word in _words(name))
    telling = {" ".join(words) for words in held.values() if words}
    for words in held.values():
        if len(words) > 1:
            telling.update(word for word in words if len(word) >= MIN_DISTINCTIVE and word not in shared)
    return frozenset(telling)


def _twins(lexicon: Lexicon, term: Term, lang: Language, forbidden: frozenset[str]) -> tuple[str, ...]:
    names = [twin.term.text for twin in lexicon.twins(term) if twin.term.language == lang]
    return tuple(name for name in names if SPEAKABLE.fullmatch(name) and not names_any(_words(name), forbidden))


def _names(term: Term) -> tuple[str, ...]:
    return (term.text, *term.variants)


def _words(text: str) -> list[str]:
    return [match[0].lower() for match in WORD.finditer(text)]


def _say_digits(text: str, lang: Language) -> str:
    said = re.sub(r"\d+", lambda digits: f" {str(num2words(int(digits[0]), lang=lang)).replace('-', ' ')} ", text)
    return " ".join(said.replace("- ", " ").replace(" -", " ").split()) if said != text else text
