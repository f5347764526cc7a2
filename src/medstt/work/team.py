"""A team's vocabulary at work: its word lists over the built-in lexicon, its auto-texts and templates in the formatter.

Knows nothing of how a list is edited, or of HTTP.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medstt.errors import VocabError
from medstt.store.vocabulary import Vocabularies, VocabularyVersion
from medstt.text import Formatter, open_formatter
from medstt.text.template import load_templates
from medstt.values import LANGUAGES, Language, Transcript
from medstt.vocab import Layer, Lexicon, builtin_vocab_folder, load_lexicon
from medstt.work.process import Style, Written

WORD_COLUMNS = ("term", "kind", "language", "spoken", "variants")
CACHED = 32  # formatters in memory: one per language and team
TEXT_FOLDER = Path(__file__).resolve().parents[1] / "text"


@dataclass(frozen=True, slots=True)
class TeamFormatter:
    """What writes for one team, and the digest of the team's own lists."""

    formatter: Formatter
    digest: str


def write_table(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return a word list as the table that the lexicon reads; entries were checked when they came in."""
    rows = ["\t".join(WORD_COLUMNS)]
    for entry in entries:
        cells = (entry.get(column, "") for column in WORD_COLUMNS)
        rows.append("\t".join(";".join(cell) if isinstance(cell, list | tuple) else str(cell) for cell in cells))
    return "\n".join(rows) + "\n"


def write_toml(templates: Iterable[Mapping[str, Any]], autotexts: Iterable[Mapping[str, Any]]) -> str:
    """Return templates and auto-texts as the file that the formatter reads; a later entry of a name wins there."""
    lines: list[str] = []
    for entry in templates:
        lines += ["[[template]]", *_pairs(entry, ("name", "language", "default"))]
        for section in entry["sections"]:
            lines += ["[[template.section]]", *_pairs(section, ("key", "title", "spoken", "required"))]
    for entry in autotexts:
        lines += ["[[auto_text]]", *_pairs(entry, ("name", "language", "spoken", "text"))]
    return "\n".join(lines) + "\n"


def _pairs(entry: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    # JSON's strings, lists and booleans are TOML's, but for the delete character, which TOML wants escaped.
    return [
        f"{name} = {json.dumps(entry[name], ensure_ascii=False)}".replace("\x7f", "\\u007f")
        for name in names
        if name in entry
    ]


def check_lists(kind: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Raise VocabError unless the formatter and the lexicon can read a list."""
    with tempfile.TemporaryDirectory(prefix="medstt-list-") as name:
        folder = Path(name)
        try:
            if kind == "words":
                table = folder / "words.tsv"
                table.write_text(write_table(entries), encoding="utf-8")
                load_lexicon(None, [Layer("user", table)], builtin=False)
                return
            templates, autotexts = (entries, ()) if kind == "templates" else ((), entries)
            (folder / "team.toml").write_text(write_toml(templates, autotexts), encoding="utf-8")
            for language in LANGUAGES:
                load_templates(language, folder)
        except VocabError as error:
            raise VocabError(error.what.replace(f"{folder}/", "the list: "), error.remedy) from error


class TeamFormatters:
    """Builds what writes for a person and keeps it while the lists stay the same; safe between threads."""

    def __init__(self, vocabularies: Vocabularies, cache: Path) -> None:
        self._vocabularies, self._cache = vocabularies, cache
        self._built: dict[tuple[str, str], TeamFormatter] = {}
        self._lexicons: dict[tuple[Language | None, tuple[str, ...]], Lexicon] = {}
        self._lock = threading.Lock()

    def load(self, tenant: str, department: str, person: str, language: Language) -> TeamFormatter:
        """Return what writes for one person; raises VocabError for a list that cannot be read."""
        lists = self._vocabularies.layers(tenant, department, person)
        named = [f"{kind} {one.place.layer} {one.digest}" for kind, found in lists.items() for one in found]
        digest = hashlib.sha256("\n".join(named).encode()).hexdigest()
        with self._lock:
            built = self._built.get((language, digest))
            if built is None:
                built = TeamFormatter(self._build(lists, language, digest), digest)
                if len(self._built) >= CACHED:
                    self._built.pop(next(iter(self._built)))
                self._built[language, digest] = built
            return built

    def lexicon(self, tenant: str, department: str, person: str, language: Language | None) -> Lexicon:
        """Return the terms that apply to one person, of one language or both; raises VocabError."""
        lists = self._vocabularies.layers(tenant, department, person)["words"]
        key = (language, tuple(f"{one.place.layer} {one.digest}" for one in lists))
        with self._lock:
            found = self._lexicons.get(key)
            if found is None:
                found = load_lexicon(language, self._layers(lists))
                if len(self._lexicons) >= CACHED:
                    self._lexicons.pop(next(iter(self._lexicons)))
                self._lexicons[key] = found
            return found

    def _layers(self, lists: Sequence[VocabularyVersion]) -> list[Layer]:
        return [
            Layer(one.place.layer, self._write(f"{one.digest}.tsv", write_table(one.entries)))
            for one in lists
            if one.entries
        ]

    def _build(self, lists: Mapping[str, Sequence[VocabularyVersion]], language: Language, digest: str) -> Formatter:
        if not any(lists.values()):
            return open_formatter(language)
        layers = self._layers(lists["words"])
        templates = [entry for one in lists["templates"] for entry in one.entries]
        autotexts = [entry for one in lists["autotexts"] for entry in one.entries]
        site = self._write(f"{digest}/team.toml", write_toml(templates, autotexts)).parent
        lexicon = load_lexicon(language, layers) if layers else None
        return open_formatter(language, site=site, lexicon=lexicon)

    def _write(self, name: str, text: str) -> Path:
        path = self._cache / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{threading.get_ident()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
        return path


def formatter_digest() -> str:
    """Return the SHA-256 over the formatter's code and its data, so that a report can name what wrote it."""
    digest = hashlib.sha256()
    vocab = builtin_vocab_folder()
    for path in [*sorted(TEXT_FOLDER.glob("*.py")), *sorted(vocab.glob("*/dictation*")), *vocab.glob("templates/*")]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class TeamWriter:
    """Writes documents with what applies to the person who dictated."""

    def __init__(self, formatters: TeamFormatters) -> None:
        self._formatters = formatters
        self._digest = formatter_digest()

    def __call__(self, transcript: Transcript, style: Style) -> Written:
        """Write the document in the style's language, else the transcript's; raises VocabError, OptionError."""
        found = style.language or transcript.language
        language: Language = "de" if found == "de" else "en"
        team = self._formatters.load(style.tenant, style.department, style.person, language)
        document = team.formatter.format(transcript, style.template)
        lexicon = team.formatter.lexicon
        digests = {
            "formatter_digest": self._digest,
            "vocabulary_digest": lexicon.digest,
            "team_digest": team.digest,
        }
        return Written(document, digests, lambda words: _covered(lexicon, words))

    def warm(self) -> None:
        """Load the built-in formatters, so that the first request does not wait for them."""
        for language in LANGUAGES:
            formatter = self._formatters.load("", "", "", language).formatter
            formatter.format("warm up")
            _covered(formatter.lexicon, ["warm"])  # builds its index


def _covered(lexicon: Lexicon, words: Sequence[str]) -> int:
    """Return how many words are part of a term of the lexicon."""
    return len({number for mention in lexicon.spot(list(words)) for number in range(mention.start, mention.end)})
