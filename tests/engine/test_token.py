from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from medstt.engine.checkpoint import open_checkpoint
from medstt.engine.token import TokenTable
from medstt.errors import CorruptModel, OptionError

ASSET = Path(__file__).parents[1] / "data" / "whisper" / "multilingual.tiktoken"
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SENTENCES = [
    "Der Patient erhält 47,5 mg Metoprolol täglich; Größe 1,80 m.",
    "BP 120/80 mmHg, no oedema, it's fine.",
    "naïve 日本語 ❤ test",
]


@pytest.fixture(scope="module")
def table(whisper_folder: Path) -> TokenTable:
    return TokenTable(open_checkpoint(whisper_folder))


def test_the_test_tokenizer_is_whispers_own(tokenizer: Tokenizer) -> None:
    tiktoken = pytest.importorskip("tiktoken", reason="tiktoken is not installed")
    lines = ASSET.read_text().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(str.split, lines)}
    plain = tiktoken.Encoding("whisper", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    for sentence in SENTENCES:
        assert tokenizer.encode(sentence, add_special_tokens=False).ids == plain.encode(sentence)


def test_special_tokens_have_whispers_numbers(table: TokenTable) -> None:
    assert (table.end, table.start, table.no_speech) == (50257, 50258, 50362)
    assert table.languages == {"en": 50259, "de": 50261}
    assert table.prompt("de") == [50261, 50359, 50363]
    with pytest.raises(OptionError, match="'fr': this model has en, de"):
        table.prompt("fr")


@pytest.mark.parametrize("sentence", SENTENCES)
def test_words_and_text_come_back_whole(table: TokenTable, sentence: str) -> None:
    tokens = table.encode(sentence)
    assert table.decode([table.start, *tokens, table.end]) == sentence
    spans = table.spans(tokens)
    assert [span.text for span in spans] == sentence.split()
    assert [span.start for span in spans[1:]] == [span.end for span in spans[:-1]]
    assert (spans[0].start, spans[-1].end) == (0, len(tokens))


def test_half_a_character_is_no_error(table: TokenTable) -> None:
    tokens = table.encode("❤")
    assert len(tokens) > 1
    assert len(table.spans(tokens[:-1])) <= 1
    assert table.spans([]) == []


def test_only_text_and_the_end_may_be_said(table: TokenTable) -> None:
    allowed = np.flatnonzero(table.suppress == 0)
    assert allowed.tolist() == list(range(50258))


def test_generation_config_is_heeded(small_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / "model"))
    settings = {"suppress_tokens": [5, 6], "begin_suppress_tokens": [7], "is_multilingual": False}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    table = TokenTable(open_checkpoint(folder))
    assert np.isneginf(table.suppress[[5, 6]]).all()
    assert table.suppress[7] == 0
    assert np.isneginf(table.suppress_first[[5, 6, 7]]).all()
    assert table.prompt("en") == [table.special("<|notimestamps|>")]
    with pytest.raises(OptionError):
        table.prompt("de")


def test_a_tokenizer_that_is_none_is_named(small_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / "model"))
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(CorruptModel, match=r"tokenizer\.json"):
        TokenTable(open_checkpoint(folder))
