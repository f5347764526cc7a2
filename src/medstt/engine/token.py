"""A model's tokens: special ids looked up by name, what must never be said, text from tokens and tokens from text.

Knows nothing of weights, audio or searching.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from medstt.engine.backend import Array
from medstt.engine.checkpoint import Checkpoint
from medstt.errors import CorruptModel, OptionError

_SPACES = ("Ġ", "▁")  # how byte-level and sentence-piece vocabularies write a leading space
_SPECIAL = re.compile(r"<\|.*\|>")
_NO_SPEECH = ("<|nospeech|>", "<|nocaptions|>")  # the name changed between Whisper's releases


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """One word and the range of tokens it was made of, ``start``..``end`` exclusive."""

    text: str
    start: int
    end: int


class TokenTable:
    """The tokens of one model."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        path = checkpoint.folder / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises a bare Exception
            raise CorruptModel(f"{path}: cannot be read ({error})", "Copy the model folder again") from error
        self._folder = checkpoint.folder
        self.size = checkpoint.shape.vocabulary
        names = {added.content: number for number, added in self._tokenizer.get_added_tokens_decoder().items()}
        self._names = {name: number for name, number in names.items() if number < self.size}
        self._special = {number for name, number in self._names.items() if _SPECIAL.fullmatch(name)}
        self.start = self.special("<|startoftranscript|>")
        self.end = self.special("<|endoftext|>")
        self.no_speech = next((self._names[name] for name in _NO_SPEECH if name in self._names), None)
        multilingual = checkpoint.generation.get("is_multilingual", True)
        codes = checkpoint.languages if multilingual else ()
        self.languages = {code: self._names[f"<|{code}|>"] for code in codes if f"<|{code}|>" in self._names}
        self.suppress = self._mask(checkpoint.generation.get("suppress_tokens") or ())
        first = checkpoint.generation.get("begin_suppress_tokens") or ()
        self.suppress_first = self.suppress.copy()
        self.suppress_first[[token for token in first if token < self.size]] = -np.inf
        self.nothing = np.zeros(self.size, np.float32)

    def special(self, name: str) -> int:
        """Return the id of a special token; raises CorruptModel if the tokenizer lacks it."""
        if name not in self._names:
            raise CorruptModel(f"{self._folder / 'tokenizer.json'}: no token {name}", "Use the model's own tokenizer")
        return self._names[name]

    def prompt(self, language: str) -> list[int]:
        """Return what follows <|startoftranscript|>: language, task, no timestamps.

        Raises OptionError for a language the model does not have.
        """
        plain = [self.special("<|notimestamps|>")]
        if not self.languages and language == "en":
            return plain  # an English-only model is asked for neither language nor task
        if language not in self.languages:
            known = ", ".join(self.languages) or "en"
            raise OptionError(f"language {language!r}: this model has {known}", "Choose one of them, or auto")
        return [self.languages[language], self.special("<|transcribe|>"), *plain]

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text as the model writes it: with a leading space, without special tokens."""
        ids: list[int] = self._tokenizer.encode(f" {text.strip()}", add_special_tokens=False).ids
        return [number for number in ids if number not in self._special]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of many texts exactly as they stand, spaces included, special ones not looked for."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [found.ids for found in encoded]

    def can_say(self, tokens: Sequence[int]) -> bool:
        """Tell whether the model may ever write all of these tokens."""
        return all(token < self.size and self._sayable[token] for token in tokens)

    def texts(self) -> list[str]:
        """Return what each token stands for, spaces included; empty for special tokens and parts of characters."""
        found = self._tokenizer.decode_batch([[number] for number in range(self.size)], skip_special_tokens=False)
        return ["" if number in self._special or "\ufffd" in text else text for number, text in enumerate(found)]

    @cached_property
    def _sayable(self) -> list[bool]:
        return [value == 0 for value in self.suppress.tolist()]

    @cached_property
    def starts_word(self) -> npt.NDArray[np.bool_]:
        """Which tokens (vocabulary,) begin a new word, a number or a mark rather than go on with a word."""
        starts = np.ones(self.size, bool)
        for text, number in self._tokenizer.get_vocab(with_added_tokens=False).items():
            if number < self.size:
                starts[number] = not text[:1].isalpha() or text[:1] in _SPACES
        return starts

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the tokenizer and of what may not be said."""
        return hashlib.sha256((self._folder / "tokenizer.json").read_bytes() + self.suppress.tobytes()).hexdigest()

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, special ones left out, stripped."""
        kept = [token for token in tokens if token not in self._special]
        text: str = self._tokenizer.decode(kept, skip_special_tokens=False)
        return text.strip()

    def spans(self, tokens: Sequence[int]) -> list[TokenSpan]:
        """Group tokens to words at spaces; characters split over several tokens stay together."""
        spans: list[TokenSpan] = []
        text, start, pending = "", 0, 0
        for index in range(len(tokens)):
            piece = self._tokenizer.decode(list(tokens[pending : index + 1]), skip_special_tokens=False)
            if piece.endswith("\ufffd") and index + 1 < len(tokens):
                continue  # the middle of a character
            if piece[:1].isspace() and text.strip():
                spans.append(TokenSpan(text.strip(), start, pending))
                text, start = "", pending
            text += piece
            pending = index + 1
        if text.strip():
            spans.append(TokenSpan(text.strip(), start, len(tokens)))
        return spans

    def _mask(self, more: Sequence[int]) -> Array:
        """Return 0 for tokens of text and the end, minus infinity for everything else and ``more``."""
        mask = np.zeros(self.size, np.float32)
        mask[self._tokenizer.get_vocab_size(with_added_tokens=True) :] = -np.inf
        forbidden = self._special.union(token for token in more if 0 <= token < self.size) - {self.end}
        mask[sorted(forbidden)] = -np.inf
        return mask
