"""Terms for scoring from the lexicon: which tokens are a term, its look-alikes, and how well a drug is known.

Knows nothing of counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

from medstt.manifest import iterate_manifest
from medstt.metrics.term import DRUG_KINDS, DrugStatus, Mention, Spotter
from medstt.values import LANGUAGES, Language
from medstt.vocab import Lexicon, Term, load_lexicon
from medstt.vocab.fold import fold
from medstt.vocab.holdout import is_held_out
from medstt.vocab.term import Kind

SCORED_KINDS: tuple[Kind, ...] = ("drug", "brand", "condition", "anatomy", "procedure", "lab")


def open_spotter(
    layers: Sequence[Path] = (), heard: Collection[str] | None = None, said: Mapping[str, int] | None = None
) -> tuple[Spotter, dict[str, str]]:
    """Return a spotter for both languages and the digests of its lexicons.

    ``heard`` are the names that training spoke, ``said`` how often it said each (see ``count_said``); without both the
    hold-out rule decides. Names of a further layer that the built-in vocabulary lacks are lexicon-only. Raises
    VocabError.
    """
    lexicons = {language: load_lexicon(language, layers) for language in LANGUAGES}
    if said is not None and heard is None:
        heard = said.keys()
    names = frozenset(fold(name) for name in heard) if heard is not None else None

    def spot(tokens: Sequence[str], language: str) -> list[Mention]:
        lexicon = lexicons.get(cast(Language, language))
        if lexicon is None:
            return []
        return [
            Mention(
                fold(found.term.text), found.term.kind, found.start, found.end,
                drug_status(found.term, names), _twin_names(lexicon, found.term),
                None if said is None else said.get(fold(found.term.text), 0),
            )
            for found in lexicon.spot(tokens, kinds=SCORED_KINDS)
        ]  # fmt: skip

    return spot, {language: lexicon.digest for language, lexicon in lexicons.items()}


def count_said(manifests: Iterable[Path]) -> Counter[str]:
    """Return how often the texts of training manifests say each term, by folded name, as the manifests list them."""
    return Counter(fold(name) for path in manifests for row in iterate_manifest(path) for name in row.terms)


def drug_status(term: Term, heard: frozenset[str] | None) -> DrugStatus:
    """Tell whether training heard a drug: by the list of heard names, or by the hold-out rule."""
    if heard is not None:
        return "heard" if fold(term.text) in heard else "lexicon"
    if term.layer != "builtin" or is_held_out(term.en or term.generic or term.text):
        return "lexicon"
    return "heard"


@lru_cache(maxsize=8192)
def _twin_names(lexicon: Lexicon, term: Term) -> frozenset[str]:
    if term.kind not in DRUG_KINDS:
        return frozenset()
    return frozenset(fold(twin.term.text) for twin in lexicon.twins(term))
