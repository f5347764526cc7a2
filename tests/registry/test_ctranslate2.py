from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_model import write_tiny_model

from medstt.benchmark.ct2 import convert_ct2
from medstt.engine import load_engine
from medstt.engine.checkpoint import open_checkpoint
from medstt.engine.protocol import Clip, DecodeOptions
from medstt.errors import CorruptModel, ModelError
from medstt.registry import resolve_model
from medstt.registry.ctranslate2 import convert_ctranslate2, read_variables
from medstt.registry.layout import BINARY, WEIGHTS
from medstt.values import Segment


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_model(tmp_path_factory.mktemp("ct2") / "tiny")
    (folder / "preprocessor_config.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def converted(original: Path) -> Path:
    """What ctranslate2's own writer makes of it, with int8 weights."""
    return convert_ct2(open_checkpoint(original), original.parent / "ct2-int8")


@pytest.mark.parametrize(("quantization", "step"), [("float32", 0), ("int8", 0.5 / 127), ("int16", 2**-10)])
def test_weights_come_back(original: Path, tmp_path: Path, quantization: str, step: float) -> None:
    theirs = convert_ct2(open_checkpoint(original), tmp_path / "ct2", quantization)
    ours = convert_ctranslate2(theirs, tmp_path / "ours")
    after = load_file(ours / WEIGHTS)
    checkpoint = open_checkpoint(original)
    assert set(after) == set(checkpoint.weight_files)
    for name in after:
        before = checkpoint.tensor(name)
        allowed = np.abs(before).max() * (step + 2**-11)
        assert np.abs(before - after[name].astype(np.float32)).max() <= allowed, name


def test_shape_generation_and_specials_come_back(original: Path, converted: Path, tmp_path: Path) -> None:
    ours = convert_ctranslate2(converted, tmp_path / "ours")
    before, after = open_checkpoint(original), open_checkpoint(ours)
    assert after.shape == before.shape
    assert after.alignment_heads == before.alignment_heads
    assert after.generation["suppress_tokens"] == before.generation["suppress_tokens"]
    ids = ("eos_token_id", "decoder_start_token_id")
    configs = [json.loads((folder / "config.json").read_text()) for folder in (original, ours)]
    assert [configs[0][name] for name in ids] == [configs[1][name] for name in ids]


def test_a_folder_by_its_path_says_what_the_original_says(original: Path, converted: Path, tmp_path: Path) -> None:
    shutil.copy(original / "card.json", converted / "card.json")
    found = resolve_model(str(converted), tmp_path)
    assert found.digest is not None
    assert resolve_model(str(converted), tmp_path) == found
    samples = np.random.default_rng(3).normal(0, 0.1, 32_000).astype(np.float32)
    clip = Clip(samples, Segment(0, 2_000))
    texts = [
        load_engine(path, "tiny").decode([clip], DecodeOptions(language="en"))[0].text
        for path in (original, found.path)
    ]
    assert texts[0] == texts[1] != ""


def test_damage_and_other_kinds_are_named(converted: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(converted, tmp_path / "ct2"))
    content = (folder / BINARY).read_bytes()
    (folder / BINARY).write_bytes(content[:-20])
    with pytest.raises(CorruptModel, match="not a whole CTranslate2 model"):
        read_variables(folder / BINARY)
    (folder / BINARY).write_bytes(content[:1000])
    with pytest.raises(CorruptModel, match="breaks off"):
        read_variables(folder / BINARY)
    (folder / BINARY).write_bytes(b"\x05" + content[1:])
    with pytest.raises(ModelError, match="binary version 5"):
        resolve_model(str(folder), tmp_path)
    (folder / BINARY).write_bytes(content.replace(b"WhisperSpec", b"SomethingXY"))
    with pytest.raises(ModelError, match="a model of kind SomethingXY"):
        resolve_model(str(folder), tmp_path)
    (folder / BINARY).write_bytes(content.replace(b"decoder/num_heads", b"decoder/num_tails"))
    with pytest.raises(CorruptModel, match="lacks decoder/num_heads"):
        resolve_model(str(folder), tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"holds no tokenizer\.json"):
        resolve_model(str(folder), tmp_path)
