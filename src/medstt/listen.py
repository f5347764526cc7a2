"""Which names a recording is listened for: the built-in vocabulary, files, folders and words laid over it.

Owns how a caller names a vocabulary. Knows nothing of how names are found in speech.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medstt.errors import VocabError
from medstt.values import Language
from medstt.vocab import Layer, Lexicon, Term, load_lexicon
from medstt.vocab.layers import as_layers
from medstt.vocab.listed import check_contradictions, check_language, is_word_list, list_terms, read_list

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
    for layer in layers:
        warnings += _check_layer(lexicon, layer, language)
    texts = list(dict.fromkeys(term.text for term in terms))
    warnings += check_language(texts, language) + check_contradictions(texts)
    return lexicon.extended(terms), tuple(warnings)


def _check_layer(lexicon: Lexicon, layer: Layer, language: Language | None) -> list[str]:
    """Return a warning where a layer has nothing to say in the language of the recording."""
    if any(term.layer == layer.name for term in lexicon):
        return []
    where = f" in the language {language}" if language else ""
    return [f"{layer.path.name} holds no term{where}"]


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
