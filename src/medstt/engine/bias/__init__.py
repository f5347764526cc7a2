"""Names at decode time: a list of phrases, compiled to a prefix tree over a model's tokens, that the search favours."""

from medstt.engine.bias.check import NameCheck
from medstt.engine.bias.compile import BiasCompiler, Compiled, compile_bias, token_table, tuned_options
from medstt.engine.bias.name import NameLists, Names
from medstt.engine.bias.option import BiasOptions, parse_bias_options
from medstt.engine.bias.walk import BothBias, TrieBias

__all__ = [
    "BiasCompiler",
    "BiasOptions",
    "BothBias",
    "Compiled",
    "NameCheck",
    "NameLists",
    "Names",
    "TrieBias",
    "compile_bias",
    "parse_bias_options",
    "token_table",
    "tuned_options",
]
