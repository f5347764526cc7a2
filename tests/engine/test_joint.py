"""The joint search: a reciting decoder corrected, names in reach, one beam where all agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from medstt.benchmark.model import RandomShape, write_random_model
from medstt.engine import load_engine
from medstt.engine.bias import BiasOptions, compile_bias
from medstt.engine.checkpoint import open_checkpoint
from medstt.engine.joint import JointSearch, Spellings
from medstt.engine.letter import CHARACTERS, HEAD, Letters
from medstt.engine.protocol import Clip, DecodeOptions
from medstt.engine.search import Candidate, Rules
from medstt.engine.token import TokenTable
from medstt.errors import CorruptModel
from medstt.values import RATE_HZ, Segment
from medstt.vocab import BiasPhrase


def heard(text: str, sure: float = 0.97) -> Letters:
    """Return letters as a clear voice would say a text: two positions a letter, then a blank."""
    path = [place for character in text for place in (CHARACTERS.index(character),) * 2 + (0,)]
    letters = np.full((len(path), len(CHARACTERS)), (1 - sure) / (len(CHARACTERS) - 1), np.float32)
    letters[np.arange(len(path)), path] = sure
    return np.log(letters)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> TokenTable:
    shape = RandomShape(16, 1, 1, 1, 80, 51_865)
    return TokenTable(open_checkpoint(write_random_model(tmp_path_factory.mktemp("t"), shape, tokenizer=tokenizer)))


@pytest.fixture(scope="module")
def spellings(table: TokenTable) -> Spellings:
    return Spellings(table)


class Reciter:
    """A decoder that hears nothing: it likes the tokens of one text, in order, and after them the end."""

    checkpoint: Any = None

    def __init__(self, table: TokenTable, text: str) -> None:
        self.wanted = [*table.encode(text), table.end]
        self.size = table.size

    def step(self, memory: Any, cache: Any, tokens: Any, take: Any, suppress: Any) -> tuple[Any, Any]:
        said = cache + 1
        row = np.full(self.size, np.log(0.3 / self.size), np.float32)
        row[self.wanted[min(said - 1, len(self.wanted) - 1)]] = np.log(0.7)
        return np.tile(row, (len(tokens), 1, 1)) + suppress, said

    def reorder(self, cache: Any, rows: Any) -> Any:
        return cache


def search(table: TokenTable, spellings: Spellings, recited: str, letters: Letters, **given: Any) -> list[Candidate]:
    rules = Rules(table.end, table.suppress_first, table.suppress)
    reciter = Reciter(table, recited)
    joint = JointSearch(reciter, spellings, rules, given.get("weight", 0.4))  # type: ignore[arg-type]
    first, said = reciter.step(None, 0, np.array([[table.start]]), [0], table.suppress_first)
    return joint.run(None, said, first[:, 0], letters, given.get("limit", 30), given.get("bias"))


def test_letters_correct_a_decoder_that_recites(table: TokenTable, spellings: Spellings) -> None:
    found = search(table, spellings, "the patient has no pain", heard("der patient nimmt kalium"))
    assert table.decode(found[0].tokens).lower() == "der patient nimmt kalium"
    assert found[0].ending == "end"
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len(found[0].logprobs) == len(found[0].tokens) + 1
    assert max(found[0].logprobs) <= 0  # the model's own


def test_the_decoder_spells_what_was_heard_badly(table: TokenTable, spellings: Spellings) -> None:
    letters = heard("the pashent has no pane", sure=0.6)
    found = search(table, spellings, "the patient has no pain", letters, weight=2.0)
    assert table.decode(found[0].tokens) == "the patient has no pain"


def test_a_name_on_the_list_is_written_as_it_stands_there(table: TokenTable, spellings: Spellings) -> None:
    letters = heard("take belatakept now", sure=0.7)
    without = search(table, spellings, "take paracetamol now", letters)
    assert "belatacept" not in table.decode(without[0].tokens)
    listed = compile_bias(table, [BiasPhrase("belatacept", (), 1.7, "user")], BiasOptions(boost=2.0, entry=0.25)).bias
    found = search(table, spellings, "take paracetamol now", letters, bias=listed)
    assert "belatacept" in table.decode(found[0].tokens)


def test_one_beam_is_left_where_decoder_and_letters_agree(table: TokenTable, spellings: Spellings) -> None:
    sure = search(table, spellings, "the patient has no pain", heard("the patient has no pain"), weight=2.0)
    lost = search(table, spellings, "the weather is fine", heard("the patient has no pain"), weight=2.0)
    assert table.decode(sure[0].tokens) == "the patient has no pain"
    assert len(sure) < len(lost)  # every beam of every step leaves a reading behind


def test_silence_is_no_text_and_a_limit_ends_the_search(table: TokenTable, spellings: Spellings) -> None:
    silence = heard("aa")[2::3].repeat(20, axis=0)  # blanks alone
    assert search(table, spellings, "the patient has no pain", silence)[0].tokens == ()
    cut = search(table, spellings, "x", heard("der patient nimmt kalium"), limit=2)
    assert max(len(one.tokens) for one in cut) == 2


def test_an_engine_searches_jointly_where_its_model_has_a_head(tmp_path: Path, cache: Path) -> None:
    shape = RandomShape(64, 1, 1, 2, 80, 2_000, 3)
    folder = write_random_model(tmp_path / "m", shape)
    weight = np.zeros((len(CHARACTERS), shape.width), np.float32)
    offset = np.full(len(CHARACTERS), -9.0, np.float32)
    offset[0] = 0.0  # it hears blanks whatever is said
    save_file({"project.weight": weight, "project.bias": offset}, folder / HEAD)
    samples = (np.random.default_rng(0).standard_normal(RATE_HZ) * 0.1).astype(np.float32)
    clips = [Clip(samples[:length], Segment(0, length // 16)) for length in (RATE_HZ, RATE_HZ // 2)]
    options = DecodeOptions("en", max_tokens=6)
    engine = load_engine(folder, "m", cache=cache)
    assert [one.text for one in engine.decode(clips, options)] == ["", ""]
    assert all(one.text for one in engine.weighing(0).decode(clips, options))
    (folder / "card.json").write_text('{"bias": {"decoder_weight": 0}, "audio_context": "dynamic"}')
    assert all(one.text for one in load_engine(folder, "m", cache=cache).decode(clips, options))  # the decoder alone
    (folder / "card.json").write_text('{"bias": {"decoder_weight": "much"}}')
    with pytest.raises(CorruptModel, match="decoder_weight"):
        load_engine(folder, "m", cache=cache)
