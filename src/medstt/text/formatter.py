"""The dictation layer's one call: verbatim words -> written report.

Owns the order of the passes. Knows nothing of audio, models or storage.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medstt.errors import OptionError
from medstt.text.code import read_codes
from medstt.text.command import read_commands
from medstt.text.date import read_dates
from medstt.text.flag import NOTHING_HEARD, Heard, find_flags
from medstt.text.item import Item
from medstt.text.label import read_labels
from medstt.text.layout import carry_out
from medstt.text.pack import Pack, load_pack
from medstt.text.quantity import read_quantities
from medstt.text.relation import read_relations
from medstt.text.section import lay_out_plain, lay_out_template
from medstt.text.spelling import read_spelling
from medstt.text.style import STYLES, Style
from medstt.text.template import TemplateBook, expand_auto_text, load_templates
from medstt.text.token import tokenise, word_texts
from medstt.values import LANGUAGES, Choice, Document, Flag, Language, Transcript
from medstt.vocab.lexicon import Lexicon, load_lexicon

BRAND_LETTERS = 4  # shorter brands may be ordinary words


@dataclass(frozen=True)
class Formatter:
    """A language's pack, templates, lexicon and a site's style, loaded once for many dictations."""

    pack: Pack
    book: TemplateBook
    lexicon: Lexicon
    style: Style

    def format(self, source: str | Sequence[str] | Transcript, template: str | None = None) -> Document:
        """Write a report from words; never raises on text. OptionError for an unknown template."""
        chosen = self.book.template(template) if template else None
        words = [word.text for word in source.words] if isinstance(source, Transcript) else word_texts(source)
        heard = _heard(source) if isinstance(source, Transcript) else NOTHING_HEARD
        missing: list[str] = []
        items = carry_out(self._items(words), functools.partial(self._expand, missing))
        if chosen is None:
            page, sections = lay_out_plain(items, self.pack, self.style)
            absent: tuple[str, ...] = ()
        else:
            page, sections, absent = lay_out_template(items, self.pack, self.style, chosen)
        text = page.text
        flags = (
            *find_flags(text, page.spans, self.pack, self.style, self.lexicon, heard),
            *(_placeholder_flag(text, name) for name in missing),
            *(
                Flag(len(text), len(text), "missing_section", f"The section {title!r} was not dictated.", "info")
                for title in absent
            ),
            *(
                Flag(
                    span.start,
                    span.end,
                    "unknown_auto_text",
                    "No auto-text of this name; left as dictated.",
                    "warning",
                    span.words,
                )
                for span in page.spans
                if span.rule == "unknown-auto-text"
            ),
        )
        return Document(text, self.pack.language, tuple(page.spans), sections, flags)

    def _items(self, words: Sequence[str]) -> list[Item]:
        """Run the passes in their order; each is linear in the number of items."""
        items = _numbers(tokenise(words, self.pack), self.pack)
        items = read_commands(items, self.pack, self.book.phrases)
        items = read_dates(items, self.pack)
        items = read_codes(items, self.pack)
        items = read_relations(items, self.pack)
        items = read_labels(items, self.pack)
        items = read_quantities(items, self.pack, self.style)
        return read_spelling(items, self.pack, self.lexicon) if self.style.house_spelling else items

    def _expand(self, missing: list[str], name: str, act: Item) -> list[Item]:
        """The items of an auto-text: its lines as they are, all pointing to the words of the command."""
        text, unset = expand_auto_text(name, self.book, self.style.variables)
        missing += unset
        items: list[Item] = []
        for number, line in enumerate(text.split("\n")):
            if number:
                items.append(Item("break", "\n", "\n", act.words, act.rule, "template"))
            if line:
                items.append(Item("word", line, line.lower(), act.words, act.rule, "template"))
            if line[-1:] in ".?!":
                items.append(Item("mark", "", line[-1:], act.words, act.rule, "template", glue="l"))
        return items


def _numbers(items: list[Item], pack: Pack) -> list[Item]:
    """Replace spoken numbers by number items."""
    result: list[Item] = []
    position = 0
    while position < len(items):
        found = pack.number(items, position) if items[position].kind == "word" else None
        result.append(found[0] if found else items[position])
        position = found[1] if found else position + 1
    return result


def _heard(transcript: Transcript) -> Heard:
    """Confidence and other readings by word index, and the names weighed."""
    confidence: dict[int, float] = {}
    others: dict[int, frozenset[str]] = {}
    choices: list[Choice] = []
    index = 0
    for hypothesis in transcript.hypotheses:
        choices += [replace(one, first=one.first + index, last=one.last + index) for one in hypothesis.choices]
        words = frozenset(
            word.lower().strip(".,;:") for other in hypothesis.alternatives for word in other.text.split()
        )
        for word in hypothesis.words:
            confidence[index] = word.confidence
            if words:
                others[index] = words
            index += 1
    return Heard(confidence, others, choices)


def _placeholder_flag(text: str, name: str) -> Flag:
    start = max(text.find(f"[{name}]"), 0)
    return Flag(
        start, start + len(name) + 2, "missing_variable", f"The auto-text's variable {name!r} has no value.", "warning"
    )


def _checked(language: str) -> Language:
    for known in LANGUAGES:
        if known == language:
            return known
    raise OptionError(f"unknown language {language!r}", f"Choose one of: {', '.join(LANGUAGES)}.")


@functools.cache
def _pack_with_brands(language: Language) -> Pack:
    return _with_brands(load_pack(language), load_lexicon(language))


def _with_brands(pack: Pack, lexicon: Lexicon) -> Pack:
    """Add the brands' own capitals to the pack's known case: "lasix" -> "Lasix"; letters only, never another word."""
    brands = {
        term.text.lower(): term.text
        for term in lexicon
        if term.kind == "brand" and term.checked and len(term.text) > BRAND_LETTERS and term.text.isalpha()
    }
    return replace(pack, case=brands | pack.case)


@functools.cache
def _book(language: Language, site: Path | None) -> TemplateBook:
    return load_templates(language, site)


def open_formatter(
    language: str, *, style: Style | None = None, site: Path | None = None, lexicon: Lexicon | None = None
) -> Formatter:
    """Load what formatting needs: ``site`` is a folder of templates and auto-texts over the built-in ones.

    Raises OptionError for an unknown language, VocabError for malformed data. Without ``lexicon`` the built-in
    vocabulary is used; packs, lexicon and templates are read once per process.
    """
    known = _checked(language)
    book = _book(known, site) if site is None else load_templates(known, site)
    words = lexicon or load_lexicon(known)
    pack = _pack_with_brands(known) if lexicon is None else _with_brands(load_pack(known), words)
    return Formatter(pack, book, words, style or STYLES[known])


def format(
    source: str | Sequence[str] | Transcript,
    language: str,
    template: str | None = None,
    *,
    style: Style | None = None,
    site: Path | None = None,
) -> Document:
    """Write a report from verbatim words: a string, a list of words, or a transcript.

    Never raises on text: what cannot be interpreted stays as dictated. Spans carry indices into the words (for a
    string: its words between white space). Raises OptionError for an unknown language or template.
    """
    return open_formatter(language, style=style, site=site).format(source, template)
