"""Which names a recording is listened for: the built-in vocabulary, files, folders and words laid over it.

Owns how a caller names a vocabulary. Knows nothing of how names are found in speech.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medstt.errors import VocabError
from medstt.values import Language
from medstt.vocab import Lexicon, Term, load_lexicon
from medstt.vocab.layers import as_layers
from medstt.vocab.listed import is_word_list, list_terms, read_list
from medstt.vocab.oddity import check_contradictions, check_language, check_spellings, read_own

# Paths are tables, folders of tables or plain lists; strings are terms. None is the built-in vocabulary alone, an
# empty sequence no vocabulary at all.
Vocabulary = Sequence[Path | str] | None


def open_vocabulary(vocabulary: Vocabulary, language: Language | None) -> tuple[Lexicon | None, tuple[str, ...]]:
    """Return the lexicon to listen for, None for none, and warnings about what was given.

    Raises VocabError for a file that is missing, malformed or too long.
    """
    if vocabulary is not None and not vocabulary:
        return None, ()
    paths = [entry for entry in vocabulary or () if isinstance(entry, Path)]
    words = [entry for entry in vocabulary or () if isinstance(entry, str)]
    tables = [path for path in paths if path.is_dir() or not is_word_list(path)]
    terms: list[Term] = []
    warnings: list[str] = []
    for path in paths:
        if path not in tables:
            listed = read_list(path, language)
            if not listed:
                warnings.append(f"{path.name} holds no term")
            terms += listed
    terms += list_terms(words, language)
    layers = as_layers(tables)
    lexicon = load_lexicon(language, layers)
    rows = list(read_own(layers, language))
    said = {term.layer for _, term in rows}
    where = f" in the language {language}" if language else ""
    warnings += [f"{layer.path.name} holds no term{where}" for layer in layers if layer.name not in said]
    texts = list(dict.fromkeys(term.text for term in terms))
    warnings += check_spellings(texts) + check_contradictions(rows)
    warnings += check_language([*texts, *(term.text for _, term in rows)], language)
    return lexicon.extended(terms), tuple(warnings)


def parse_vocabulary(values: Sequence[str]) -> Vocabulary:
    """Return what ``--vocabulary`` values name: files and folders; ``builtin`` is always there; ``none`` is nothing.

    Raises VocabError for a name that is no file or folder.
    """
    if "none" in values:
        if len(values) > 1:
            raise VocabError("--vocabulary none stands alone", "Leave out the others, or leave out none")
        return ()
    paths = [Path(value) for value in values if value != "builtin"]
    for path in paths:
        if not path.exists():
            raise VocabError(
                f"--vocabulary {path}: there is no such file or folder", "Give a list, a table, a folder, or none"
            )
    return paths or None
