"""Terms that somebody just names: lines of a text file, keywords of a request. Laid over a lexicon as its top layer.

Owns what may be on such a list. Knows nothing of tables with columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from medstt.errors import VocabError
from medstt.values import LANGUAGES, Language
from medstt.vocab.importers.source import no_progress, read_lines
from medstt.vocab.term import Term

MOST_TERMS = 100_000
MOST_WORDS = 6  # of one term; more are a sentence
MOST_LETTERS = 80


def is_word_list(path: Path) -> bool:
    """Tell whether a file is a plain list (one term a line) rather than a table with columns."""
    return path.suffix.lower() in (".txt", ".lst", "")


def read_list(path: Path, language: Language | None) -> list[Term]:
    """Read one term a line, for one language or both; empty lines and those that begin with # are passed over.

    Raises VocabError for a file that cannot be read, more than 100,000 lines, or a line that is no term.
    """
    if not path.is_file():
        raise VocabError(f"{path} is not a file", "Give a list with one term a line, a table, or a folder of tables")
    terms: list[str] = []
    for number, line in read_lines(path, "", no_progress):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if len(terms) == MOST_TERMS:
            raise VocabError(f"{path}:{number}: more than {MOST_TERMS} terms", "Give the terms of one department")
        if not is_term(text):
            raise VocabError(
                f"{path}:{number}: {text[:40]!r} is no term", f"Write one term a line, of at most {MOST_WORDS} words"
            )
        terms.append(text)
    return list_terms(terms, language)


def list_terms(texts: Iterable[str], language: Language | None) -> list[Term]:
    """Return terms of the user's layer for one language or both."""
    languages = (language,) if language else LANGUAGES
    return [Term(text, "name", one, source="list", layer="user") for text in texts for one in languages]


def is_term(text: str) -> bool:
    """Tell whether a text may be a term: letters in it, printable, not a sentence."""
    return (
        0 < len(text) <= MOST_LETTERS
        and len(text.split()) <= MOST_WORDS
        and any(map(str.isalpha, text))
        and text.isprintable()
    )


def parse_keywords(prompt: str) -> tuple[list[str], int]:
    """Return the keywords of an OpenAI prompt (between commas, semicolons and line ends), and how many pieces are none.

    A prompt of plain sentences holds no keywords: what was said before is no list of names.
    """
    pieces = [piece.strip(" .\t") for piece in prompt.replace(";", ",").replace("\n", ",").split(",")]
    pieces = [piece for piece in pieces if piece]
    kept = [piece for piece in pieces if is_term(piece)]
    return list(dict.fromkeys(kept)), len(pieces) - len(kept)
