"""A team's vocabulary at work: its layers over the built-in lexicon, its auto-texts and templates, for the writer.

Knows nothing of how a list is edited or a document formatted.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medstt.store.vocabulary import Vocabularies, VocabularyVersion
from medstt.values import Language, Transcript
from medstt.vocab import Layer, Lexicon, load_lexicon
from medstt.work.content import verbatim_document
from medstt.work.process import Style, Written

WORD_COLUMNS = ("term", "kind", "language", "spoken", "variants", "source")
CACHED = 32  # lexicons in memory: one per language and team


@dataclass(frozen=True, slots=True)
class TeamVocabulary:
    """What applies to one person: lexicon, auto-texts and templates, and the digest of the team's own part."""

    lexicon: Lexicon
    autotexts: Mapping[str, str]
    templates: Mapping[str, Mapping[str, Any]]
    digest: str


def write_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return a word list as the table that the lexicon reads."""
    rows = ["\t".join(WORD_COLUMNS)]
    for entry in entries:
        cells = []
        for column in WORD_COLUMNS:
            value = entry.get(column, "")
            cells.append(";".join(value) if isinstance(value, list | tuple) else str(value))
        rows.append("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in cells))
    return "\n".join(rows) + "\n"


class TeamVocabularies:
    """Loads what applies to a person and keeps the lexicons it built; safe between threads."""

    def __init__(self, vocabularies: Vocabularies, cache: Path) -> None:
        self._vocabularies, self._cache = vocabularies, cache
        self._lexicons: dict[tuple[str, ...], Lexicon] = {}
        self._lock = threading.Lock()

    def load(self, tenant: str, department: str, person: str, language: Language) -> TeamVocabulary:
        """Return the vocabulary of one person; raises VocabError for a list that cannot be read."""
        found = {
            kind: self._vocabularies.layers(tenant, department, person, kind)
            for kind in ("words", "autotexts", "templates")
        }
        autotexts = {
            str(entry["spoken"]): str(entry["text"])
            for version in found["autotexts"]
            for entry in version.entries
            if entry.get("language", language) == language
        }
        templates = {str(entry["name"]): entry for version in found["templates"] for entry in version.entries}
        every = [version.digest for versions in found.values() for version in versions]
        digest = hashlib.sha256("".join(every).encode()).hexdigest()
        return TeamVocabulary(self.lexicon(found["words"], language), autotexts, templates, digest)

    def lexicon(self, versions: Sequence[VocabularyVersion], language: Language) -> Lexicon:
        """Return the built-in lexicon of a language with a team's layers over it."""
        key = (language, *(version.digest for version in versions))
        with self._lock:
            if key not in self._lexicons:
                layers = [Layer(version.place.layer, self._table(version)) for version in versions if version.entries]
                if len(self._lexicons) >= CACHED:
                    self._lexicons.pop(next(iter(self._lexicons)))
                self._lexicons[key] = load_lexicon(language, layers)
            return self._lexicons[key]

    def _table(self, version: VocabularyVersion) -> Path:
        path = self._cache / f"{version.digest}.tsv"
        text = write_table(version.entries)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{threading.get_ident()}")
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
        return path


class TeamWriter:
    """Writes documents with what applies to the person who dictated."""

    def __init__(self, team: TeamVocabularies) -> None:
        self._team = team

    def __call__(self, transcript: Transcript, style: Style) -> Written:
        """Write the document in the style's language, else the transcript's; raises VocabError."""
        found = style.language or transcript.language
        language: Language = "de" if found == "de" else "en"
        vocabulary = self._team.load(style.tenant, style.department, style.person, language)
        document = verbatim_document(transcript)
        digests = {
            "vocabulary_digest": vocabulary.lexicon.digest,
            "team_digest": vocabulary.digest,
        }
        return Written(document, digests, lambda words: _covered(vocabulary.lexicon, words))


def _covered(lexicon: Lexicon, words: Sequence[str]) -> int:
    return len({number for mention in lexicon.spot(list(words)) for number in range(mention.start, mention.end)})
