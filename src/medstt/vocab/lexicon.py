"""The lexicon: an immutable collection of terms with everything that is asked of it.

Brings layers, search, spotting, look-alikes and bias phrases together. Knows nothing of audio, models or documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path

from medstt.values import Language
from medstt.vocab.bias import BIASED_KINDS, bias_phrases, estimate_tokens
from medstt.vocab.fold import fold
from medstt.vocab.holdout import held_out_names
from medstt.vocab.layers import Contents, as_layers, builtin_vocab_folder, read_layers
from medstt.vocab.search import SearchIndex
from medstt.vocab.spot import SPOTTED_KINDS, Spotter
from medstt.vocab.term import BiasPhrase, Kind, Layer, Match, Mention, Pair, Term, Twin


class Lexicon:
    """Terms of one or both languages; immutable, compared and hashed by its digest."""

    def __init__(self, contents: Contents, layers: tuple[Layer, ...] = ()) -> None:
        self._contents = contents
        self._layers = layers

    @property
    def digest(self) -> str:
        """SHA-256 over every table read, in order of layers."""
        return self._contents.digest

    @property
    def version(self) -> str:
        """The built-in vocabulary's version, followed by the further layers and the digest's first digits."""
        names = "+".join(layer.name for layer in self._layers if layer.name != "builtin")
        return f"{self._contents.version}+{names}.{self.digest[:8]}" if names else self._contents.version

    def extended(self, terms: Sequence[Term]) -> Lexicon:
        """Return this lexicon with further terms over it; known terms of the same name stay beside them."""
        if not terms:
            return self
        named = "\n".join("\t".join((one.layer, one.language, one.kind, one.text, *one.spoken)) for one in terms)
        digest = hashlib.sha256(f"{self.digest}\n{named}".encode()).hexdigest()
        contents = replace(self._contents, terms=(*self._contents.terms, *terms), digest=digest)
        return Lexicon(contents, (*self._layers, Layer(terms[0].layer, Path(terms[0].source))))

    def only(self, keep: Callable[[Term], bool]) -> Lexicon:
        """Return the terms that ``keep`` names, with all look-alike pairs."""
        terms = tuple(term for term in self._contents.terms if keep(term))
        named = "\n".join("\t".join((term.layer, term.language, term.kind, term.text)) for term in terms)
        digest = hashlib.sha256(f"{self.digest}\nonly\n{named}".encode()).hexdigest()
        return Lexicon(replace(self._contents, terms=terms, digest=digest), self._layers)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All look-alike and sound-alike pairs."""
        return self._contents.pairs

    def __iter__(self) -> Iterator[Term]:
        return iter(self._contents.terms)

    def __len__(self) -> int:
        return len(self._contents.terms)

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and fold(text) in self._by_key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lexicon) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def _by_key(self) -> dict[str, tuple[Term, ...]]:
        index: dict[str, tuple[Term, ...]] = {}
        for term in self._contents.terms:
            for key in {fold(name) for name in (term.text, *term.variants)}:
                index[key] = (*index.get(key, ()), term)
        return index

    @cached_property
    def _search(self) -> SearchIndex:
        return SearchIndex(self._by_key)

    @cached_property
    def _spotter(self) -> Spotter:
        return Spotter(self._by_key)

    @cached_property
    def _pairs_by_key(self) -> dict[str, tuple[tuple[str, Pair], ...]]:
        index: dict[str, tuple[tuple[str, Pair], ...]] = {}
        for pair in self._contents.pairs:
            for name, other in ((pair.a, pair.b), (pair.b, pair.a)):
                index[fold(name)] = (*index.get(fold(name), ()), (other, pair))
        return index

    def find(self, text: str) -> tuple[Term, ...]:
        """Return the terms of exactly this name or variant, whatever its case, umlauts or ß."""
        return self._by_key.get(fold(text), ())

    def search(self, text: str, limit: int = 10, *, fuzzy: bool = True, phonetic: bool = True) -> list[Match]:
        """Return up to ``limit`` terms that this could be, best first: by name, spelling family, sound and letters."""
        return self._search.find(text, limit, fuzzy, phonetic)

    def spot(self, text: str | Sequence[str], kinds: Collection[Kind] = SPOTTED_KINDS) -> list[Mention]:
        """Find terms in a text (character offsets) or in separate words (word indices), longest first."""
        if isinstance(text, str):
            return self._spotter.spot(text, kinds)
        return self._spotter.spot_words(text, kinds)

    def twins(self, term: Term | str) -> tuple[Twin, ...]:
        """Return the look-alike and sound-alike names of a term, by any of its names and of its substance."""
        name = term if isinstance(term, str) else term.text
        known = self.find(name)
        wanted = {fold(name)} | {fold(each) for found in known for each in (found.text, *found.variants)}
        language = None if isinstance(term, str) else term.language
        twins: dict[str, Twin] = {}
        for key in sorted(wanted):
            for other, pair in self._pairs_by_key.get(key, ()):
                if language in (None, pair.language) and fold(other) not in wanted:
                    twins.setdefault(fold(other), Twin(self._term_of(other, pair), pair.reason, pair.source))
        return tuple(twins.values())

    def _term_of(self, name: str, pair: Pair) -> Term:
        for term in self.find(name):
            if term.language == pair.language and term.kind in ("drug", "brand"):
                return term
        return next(
            (term for term in self.find(name) if term.language == pair.language),
            Term(name, "drug", pair.language, source=pair.source, layer=pair.layer),
        )

    def bias_phrases(
        self,
        budget: int,
        kinds: Collection[Kind] = BIASED_KINDS,
        count: Callable[[str], int] = estimate_tokens,
    ) -> list[BiasPhrase]:
        """Choose the phrases to favour in decoding for a budget of tokens; ``count`` measures a phrase."""
        return bias_phrases(self._contents.terms, budget, kinds, count)

    def held_out_names(self) -> frozenset[str]:
        """Return every drug name, lower case, that never occurs in training; see ``medstt.vocab.holdout``."""
        return held_out_names(self, (name for pair in self.pairs for name in (pair.a, pair.b)))


def load_lexicon(language: Language | None, layers: Sequence[Path | Layer] = (), *, builtin: bool = True) -> Lexicon:
    """Load the built-in vocabulary with further layers over it; None loads both languages.

    Bare paths are the site's, department's and user's layers in this order; the built-in vocabulary alone is read once
    per process. Raises VocabError with file, line and column for a malformed table.
    """
    further = as_layers(layers)
    if builtin and not further:
        return _builtin_lexicon(language)
    chosen = (Layer("builtin", builtin_vocab_folder()), *further) if builtin else further
    return Lexicon(read_layers(chosen, language), chosen)


@cache
def _builtin_lexicon(language: Language | None) -> Lexicon:
    chosen = (Layer("builtin", builtin_vocab_folder()),)
    return Lexicon(read_layers(chosen, language), chosen)
