"""Compiling a list for one model's tokenizer, and keeping what was compiled: in memory and on disk, by digest.

Knows nothing of lexicons' files or of what is decoded.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medstt.disk import naming_disk_errors, write_atomically
from medstt.engine.bias.option import BiasOptions, parse_bias_options
from medstt.engine.bias.phrase import spell
from medstt.engine.bias.trie import Trie, build_trie
from medstt.engine.bias.walk import TrieBias
from medstt.engine.pool import EnginePool
from medstt.engine.protocol import Engine
from medstt.engine.token import TokenTable
from medstt.errors import OptionError
from medstt.vocab import BiasPhrase, Lexicon

if TYPE_CHECKING:
    from medstt.engine.whisper import WhisperEngine

COMPILER_VERSION = 3  # raised with every change of what is chosen from a lexicon, spelt or built
_EVERYTHING = 100_000_000  # tokens: no term is left out for want of room
_IN_MEMORY = 16  # lists; each takes a few MB


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A list ready to be used, how many phrases it was made of, and what was left out of it."""

    bias: TrieBias
    phrases: int
    warnings: tuple[str, ...]


def token_table(engine: Engine) -> TokenTable:
    """Return the tokens of an engine's model; raises OptionError for an engine that has none to show."""
    return _whisper(engine).tokens


def tuned_options(engine: Engine) -> BiasOptions:
    """Return the values that the card of an engine's model was tuned to, else the defaults; raises CorruptModel."""
    checkpoint = _whisper(engine).checkpoint
    return parse_bias_options(checkpoint.card, str(checkpoint.folder / "card.json"))


def _whisper(engine: Engine) -> WhisperEngine:
    from medstt.engine.whisper import WhisperEngine

    first = engine.first if isinstance(engine, EnginePool) else engine
    if isinstance(first, WhisperEngine):
        return first
    raise OptionError(f"{engine.ref.name} runs on an engine without vocabulary bias", "Use the onnx engine")


def compile_bias(
    table: TokenTable, phrases: Sequence[BiasPhrase], options: BiasOptions, commands: Collection[str] = ()
) -> Compiled:
    """Compile phrases for a tokenizer; raises VocabError for more than can be listened for."""
    listed = "\n".join(f"{p.text}\t{p.layer}\t{p.weight}\t{'|'.join(p.spoken)}" for p in phrases)
    digest = _digest(table, hashlib.sha256(listed.encode()).hexdigest(), options, commands)
    return _compile(table, phrases, options, commands, digest)


def _compile(
    table: TokenTable, phrases: Sequence[BiasPhrase], options: BiasOptions, commands: Collection[str], digest: str
) -> Compiled:
    rows = spell(table, phrases, options, commands)
    trie = build_trie(rows.tokens, rows.weights, rows.start, options.boost, options.entry)
    return Compiled(TrieBias(trie, table.starts_word, table.size, digest), rows.phrases, rows.warnings)


def _digest(table: TokenTable, listed: str, options: BiasOptions, commands: Collection[str]) -> str:
    """Return the SHA-256 of everything that a compiled list depends on; ``listed`` is that of its phrases."""
    weights = [
        COMPILER_VERSION,
        options.boost,
        options.entry,
        options.builtin,
        options.site,
        options.department,
        options.user,
    ]
    return hashlib.sha256(json.dumps([table.digest, weights, sorted(commands), listed]).encode()).hexdigest()


class BiasCompiler:
    """Compiles lists once: what was compiled is kept in memory (the last 16) and in a folder. Safe between threads."""

    def __init__(self, folder: Path | None = None, commands: Collection[str] = ()) -> None:
        self._folder = folder
        self._commands = frozenset(commands)
        self._kept: OrderedDict[str, Compiled] = OrderedDict()
        self._lock = threading.Lock()

    def compile(self, table: TokenTable, lexicon: Lexicon, options: BiasOptions) -> Compiled:
        """Return the compiled list of a lexicon's phrases; raises VocabError for more than can be listened for."""
        digest = _digest(table, lexicon.digest, options, self._commands)
        with self._lock:
            found = self._kept.get(digest) or self._read(table, digest)
            if found is None:
                found = _compile(table, lexicon.bias_phrases(_EVERYTHING), options, self._commands, digest)
                self._write(digest, found)
            self._kept[digest] = found
            self._kept.move_to_end(digest)
            if len(self._kept) > _IN_MEMORY:
                self._kept.popitem(last=False)
            return found

    def _path(self, digest: str) -> Path | None:
        return self._folder / f"{digest[:32]}.npz" if self._folder else None

    def _read(self, table: TokenTable, digest: str) -> Compiled | None:
        """Return what an earlier process compiled; None where it is missing, older or damaged."""
        path = self._path(digest)
        if path is None or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                if str(arrays["digest"]) != digest:
                    return None
                trie = Trie(*(arrays[item.name] for item in fields(Trie)))
                warnings = tuple(str(text) for text in arrays["warnings"])
                phrases = int(arrays["phrases"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None  # it is compiled again and written over
        return Compiled(TrieBias(trie, table.starts_word, table.size, digest), phrases, warnings)

    def _write(self, digest: str, compiled: Compiled) -> None:
        path = self._path(digest)
        if path is None:
            return
        arrays = {item.name: getattr(compiled.bias.trie, item.name) for item in fields(Trie)}
        content = io.BytesIO()
        np.savez(
            content, **arrays, digest=np.array(digest), phrases=np.array(compiled.phrases),
            warnings=np.array(compiled.warnings, dtype=np.str_),
        )  # fmt: skip
        with naming_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getvalue())
