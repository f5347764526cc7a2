"""Layers of vocabulary: which files make one up, and how later layers add to, override and remove from earlier ones.

Owns where the built-in vocabulary lies. Knows nothing of search.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medstt.errors import VocabError
from medstt.values import LANGUAGES, Language
from medstt.vocab.fold import fold
from medstt.vocab.table import REMOVE, check_header, is_pairs, language_of, read_pairs, read_rows, read_terms
from medstt.vocab.term import KINDS, LAYERS, Layer, Pair, Term

# Tables in the same folders that belong to the dictation layer, not to the lexicon.
NOT_LEXICON = ("dictation",)
VERSION_FILE = "VERSION"


def builtin_vocab_folder() -> Path:
    """Return the folder of the built-in vocabulary: the checkout's ``vocab/``, else the copy inside the package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data" / "vocab"
    if installed.is_dir():
        return installed
    checkout = package.parents[1] / "vocab"
    if checkout.is_dir():
        return checkout
    raise VocabError(f"The built-in vocabulary is in neither {installed} nor {checkout}", "Install medstt again.")


def as_layers(layers: Sequence[Path | Layer]) -> tuple[Layer, ...]:
    """Name bare paths: one path is the site's, further ones are department and user."""
    names = LAYERS[1:]
    named = []
    for index, layer in enumerate(layers):
        named.append(layer if isinstance(layer, Layer) else Layer(names[min(index, len(names) - 1)], layer))
    return tuple(named)


def layer_files(layer: Layer) -> tuple[Path, ...]:
    """List a layer's tables in a fixed order: those in ``en/`` and ``de/``, and those directly in its folder."""
    if layer.path.is_file():
        return (layer.path,)
    if not layer.path.is_dir():
        raise VocabError(
            f"{layer.path} (layer {layer.name}) does not exist", "Give a table or a folder with en/ and de/ in it."
        )
    files = [*layer.path.glob("*.tsv"), *(path for name in LANGUAGES for path in (layer.path / name).glob("*.tsv"))]
    if layer.name == "builtin":
        files = [path for path in files if path.parent.name in LANGUAGES]
    return tuple(sorted((path for path in files if not path.name.startswith(NOT_LEXICON)), key=str))


@dataclass(frozen=True, slots=True)
class Contents:
    """What the layers say together: terms and pairs after all overriding, and the digest of every byte read."""

    terms: tuple[Term, ...]
    pairs: tuple[Pair, ...]
    digest: str
    version: str


def read_layers(layers: Iterable[Layer], language: Language | None) -> Contents:
    """Read and merge layers in order; a later row of the same language, kind and name overrides an earlier one.

    An empty cell of the later row keeps the earlier value. A name with ``-`` in front is removed, of every kind if
    the kind is left empty.
    """
    terms: dict[tuple[str, str, str], Term] = {}
    pairs: dict[tuple[str, frozenset[str]], Pair] = {}
    digest = hashlib.sha256((language or "all").encode())
    version = ""
    for layer in layers:
        if layer.name == "builtin":
            version = builtin_version(layer.path)
        for path in layer_files(layer):
            header, rows = read_rows(path)
            check_header(path, header)
            digest.update(f"\0{layer.name}\0{path.parent.name}/{path.name}\0".encode() + path.read_bytes())
            if language is not None and "language" not in header and language_of(path) not in (None, language):
                continue  # a table of another language
            if is_pairs(header):
                for _, pair in read_pairs(path, header, rows, layer.name):
                    if language in (None, pair.language):
                        _merge_pair(pairs, pair)
            else:
                for _, term in read_terms(path, header, rows, layer.name):
                    if language in (None, term.language):
                        _merge_term(terms, term)
    return Contents(tuple(terms.values()), tuple(pairs.values()), digest.hexdigest(), version)


def builtin_version(folder: Path) -> str:
    """Read the version of the built-in vocabulary."""
    path = folder / VERSION_FILE
    return path.read_text(encoding="utf-8").strip() if path.is_file() else "unversioned"


def _merge_term(terms: dict[tuple[str, str, str], Term], term: Term) -> None:
    if term.text.startswith(REMOVE) and len(term.text) > 1:
        name = fold(term.text[1:])
        kinds = (term.kind,) if term.kind else KINDS
        for key in [key for key in terms if key[0] == term.language and key[1] in kinds and fold(key[2]) == name]:
            del terms[key]
        return
    # Abbreviations differ by case (Pat., PAT), everything else does not.
    name = term.text if term.kind in ("abbreviation", "unit") else fold(term.text)
    key = (term.language, term.kind, name)
    earlier = terms.get(key)
    terms[key] = term if earlier is None else _override(earlier, term)


def _override(earlier: Term, later: Term) -> Term:
    filled = {field: value for field, value in later._asdict().items() if value}
    return earlier._replace(**filled)


def _merge_pair(pairs: dict[tuple[str, frozenset[str]], Pair], pair: Pair) -> None:
    key = (pair.language, frozenset((fold(pair.a.lstrip(REMOVE)), fold(pair.b))))
    if pair.a.startswith(REMOVE):
        pairs.pop(key, None)
    else:
        pairs[key] = pair
