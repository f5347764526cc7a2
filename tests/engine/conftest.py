"""Whisper folders for these tests: the true tokenizer or an invented one, random weights."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from medstt.benchmark.model import RandomShape, special_tokens, write_random_model
from medstt.engine import load_engine
from medstt.engine.whisper import WhisperEngine

ASSET = Path(__file__).parents[1] / "data" / "whisper" / "multilingual.tiktoken"  # openai-whisper's, MIT
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SMALL = RandomShape(64, 2, 2, 2, 80, 2_000, 3)


def whisper_tokenizer(languages: int = 99) -> Tokenizer:
    """Build the true multilingual Whisper tokenizer from openai-whisper's ranks."""
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(str.split, ASSET.read_text().splitlines())}
    alphabet = byte_letters()
    spelled = {token: "".join(alphabet[byte] for byte in token) for token in ranks}
    merges = []
    for token, rank in ranks.items():
        if len(token) > 1:
            left, right = last_merge(token, rank, ranks)
            merges.append((spelled[left], spelled[right]))
    tokenizer = Tokenizer(models.BPE(vocab={spelled[token]: rank for token, rank in ranks.items()}, merges=merges))
    split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special_tokens(languages)])
    return tokenizer


def last_merge(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """Return the pair whose merge makes ``token``: merge by rank until two pieces are left."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [ranks.get(parts[i] + parts[i + 1], rank) for i in range(len(parts) - 1)]
        best = min(range(len(pairs)), key=pairs.__getitem__)
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts[0], parts[1]


def byte_letters() -> dict[int, str]:
    """Return GPT-2's printable letter for every byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + number) for number, byte in enumerate(others)}


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Whisper's own tokenizer."""
    return whisper_tokenizer()


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """The true tokenizer and mel bands of whisper-tiny with fewer, narrower layers; declares dynamic context."""
    shape = RandomShape(64, 2, 2, 2, 80, 51_865)
    return write_random_model(tmp_path_factory.mktemp("whisper"), shape, tokenizer=tokenizer)


@pytest.fixture(scope="session")
def turbo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mel bands and vocabulary size of large-v3-turbo with few, narrow layers; no card, so 30 s."""
    shape = RandomShape(64, 2, 1, 2, 128, 51_866, 100)
    return write_random_model(tmp_path_factory.mktemp("turbo"), shape, dynamic=False)


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small vocabulary of our own kind."""
    return write_random_model(tmp_path_factory.mktemp("small"), SMALL)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of converted models."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="session")
def engine(small_folder: Path, cache: Path) -> WhisperEngine:
    """The small model, int8."""
    return load_engine(small_folder, "small", cache=cache)
