"""From a lexicon and a model to what listens for its names: the compiled bias, the second look, and warnings.

Knows nothing of files, requests or recordings.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medstt.engine.bias.check import NameCheck
from medstt.engine.bias.compile import BiasCompiler, compile_bias, token_table, tuned_options
from medstt.engine.bias.option import BiasOptions
from medstt.engine.bias.walk import BothBias
from medstt.engine.protocol import Bias, Engine
from medstt.engine.token import TokenTable
from medstt.vocab import BiasPhrase, Lexicon
from medstt.vocab.bias import LAYER_WEIGHT

_IN_MEMORY = 32
USER = "user"


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """What a transcriber needs to listen for names. ``bias`` is None where the boost is 0."""

    bias: Bias | None
    check: NameCheck | None
    phrases: int
    warnings: tuple[str, ...] = ()


class NameLists:
    """Makes ``Names`` once for each lexicon, model and options; a list made before is found in microseconds."""

    def __init__(self, folder: Path | None = None, commands: Collection[str] = ()) -> None:
        self._commands = frozenset(commands)
        self._compiler = BiasCompiler(folder, self._commands)
        self._made: OrderedDict[tuple[str, str, BiasOptions], Names] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, engine: Engine, lexicon: Lexicon, options: BiasOptions | None = None) -> Names:
        """Return what listens for a lexicon's names, with the values in the model's card unless others are given.

        Nothing for an engine that cannot listen. Raises CorruptModel for the card, VocabError for more terms than can
        be listened for.
        """
        if not engine.capabilities.bias:
            return Names(None, None, 0)
        options = options or tuned_options(engine)
        key = (lexicon.digest, engine.ref.digest, options)
        with self._lock:
            found = self._made.get(key)
            if found is None:
                found = self._made[key] = self._make(engine, lexicon, options)
            self._made.move_to_end(key)
            if len(self._made) > _IN_MEMORY:
                self._made.popitem(last=False)
            return found

    def add_words(
        self, engine: Engine, names: Names, words: Sequence[str], options: BiasOptions | None = None
    ) -> Names:
        """Return names with a few more words of the user's; these are kept nowhere.

        Raises VocabError for more words than can be listened for.
        """
        if not engine.capabilities.bias or not words:
            return names
        options = options or tuned_options(engine)
        phrases = [BiasPhrase(word, (), LAYER_WEIGHT[USER], USER) for word in words]
        compiled = compile_bias(token_table(engine), phrases, options, self._commands)
        bias: Bias | None = compiled.bias if compiled.bias.nodes > 1 and options.boost > 0 else None
        if bias is not None and names.bias is not None:
            bias = BothBias(names.bias, bias)
        return replace(names, bias=bias or names.bias, warnings=(*names.warnings, *compiled.warnings))

    def _make(self, engine: Engine, lexicon: Lexicon, options: BiasOptions) -> Names:
        table = token_table(engine)
        compiled = self._compiler.compile(table, lexicon, options)
        check = NameCheck(
            lexicon, options, lambda text: len(table.encode(text)), lambda word: _is_ordinary(table, word)
        )
        bias = compiled.bias if options.boost > 0 and compiled.bias.nodes > 1 else None
        return Names(bias, check, compiled.phrases, compiled.warnings)


def _is_ordinary(table: TokenTable, word: str) -> bool:
    """Tell whether the model has one token for a word: its tokenizer was made from frequent words."""
    return len(table.encode(word)) == 1 or len(table.encode(word.lower())) == 1
