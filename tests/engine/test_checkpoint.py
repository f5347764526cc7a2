from __future__ import annotations

import json
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from medstt.engine.checkpoint import open_checkpoint
from medstt.errors import CorruptModel, ModelError, UnknownModel

TABLE = "model.decoder.embed_tokens.weight"


@pytest.fixture
def folder(small_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_folder, tmp_path / "model"))


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_read_as_float32(folder: Path, kind: type) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: value.astype(kind) for name, value in weights.items()}, folder / "model.safetensors")
    found = open_checkpoint(folder).tensor(TABLE)
    assert found.dtype == np.float32
    assert np.allclose(found, weights[TABLE], rtol=1e-2, atol=1e-3)


def test_shards_are_read_through_their_index(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shards = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(weights)}
    for file in set(shards.values()):
        save_file({name: value for name, value in weights.items() if shards[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert np.array_equal(open_checkpoint(folder).tensor(TABLE), weights[TABLE])
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CorruptModel, match="model-00002-of-00002"):
        open_checkpoint(folder)


def test_the_card_decides_about_context_and_languages(folder: Path) -> None:
    assert open_checkpoint(folder).audio_context == "dynamic"
    before = open_checkpoint(folder).digest
    (folder / "card.json").unlink()
    stock = open_checkpoint(folder)
    assert (stock.audio_context, stock.languages) == ("full", ("en", "de"))
    assert stock.digest != before


def test_damage_is_named(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(CorruptModel, match="not a whole safetensors file"):
        open_checkpoint(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CorruptModel, match=r"model\.safetensors is missing"):
        open_checkpoint(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(CorruptModel, match="not JSON"):
        open_checkpoint(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="'bert'"):
        open_checkpoint(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UnknownModel, match=r"no config\.json"):
        open_checkpoint(folder)
