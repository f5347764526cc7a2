"""Medical terms: lexicons, search, spotting, bias phrases, the hold-out rule."""

from medstt.vocab.holdout import held_out_names, is_held_out
from medstt.vocab.layers import builtin_vocab_folder
from medstt.vocab.lexicon import Lexicon, load_lexicon
from medstt.vocab.term import BiasPhrase, Layer, Match, Mention, Pair, Term, Twin

__all__ = [
    "BiasPhrase",
    "Layer",
    "Lexicon",
    "Match",
    "Mention",
    "Pair",
    "Term",
    "Twin",
    "builtin_vocab_folder",
    "held_out_names",
    "is_held_out",
    "load_lexicon",
]
